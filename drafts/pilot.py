# pilot: seed 99, never one of the five. usage: pilot.py times | copy | hull reader fixed steps
import sys, time, torch; torch.set_num_threads(1)
import attention_src.experiments.pointer_networks as e  # a draft: delete before the merge
from attention_src.experiments import Run
what = sys.argv[1]
torch.manual_seed(99)
if what == "times":
    for task, reader, fixed in [("hull","around",False),("hull","in_order",False),("hull","in_order",True),("sort","around",False),("sort","in_order",False)]:
        m = e.new_pointer(task, reader, fixed); t=time.perf_counter(); e.train_pointer(m, task, 99, 60); 
        print(task, reader, fixed, "ms/step", round(1000*(time.perf_counter()-t)/60,1), sum(p.numel() for p in m.parameters()), flush=True)
        t=time.perf_counter(); f=e.answers(m, e.fresh_rows(task, 99, 20).inputs); print("   500 answers of 20:", round(time.perf_counter()-t,2), flush=True)
    t=time.perf_counter(); e.one_corner_short(Run(99)); print("one_corner_short", round(time.perf_counter()-t,2))
    m=e.new_copier("both"); t=time.perf_counter(); e.train_copier(m, 99, 40); print("copy ms/step", round(1000*(time.perf_counter()-t)/40,1))
elif what == "copy":
    for kind in sys.argv[2:]:
        t=time.perf_counter(); r=e.copying(Run(99), kind); print(kind, r, round(time.perf_counter()-t,1), flush=True)
else:
    task, reader, fixed, steps = sys.argv[1], sys.argv[2], sys.argv[3]=="1", int(sys.argv[4])
    m = e.new_pointer(task, reader, fixed); t=time.perf_counter(); l=e.train_pointer(m, task, 99, steps); t=time.perf_counter()-t
    out={}
    for n in e.TEST["lengths"]:
        rows=e.fresh_rows(task,99,n); f=e.answers(m,rows.inputs); out[n]=round(100*sum(e.right(f,rows))/len(f),1)
        if task=="hull":
            s=[x for x in e.shares_covered(f,rows) if x is not None]; out[n]=(out[n],len(s),round(100*sum(s)/max(1,len(s)),2))
    print(task, reader, fixed, steps, round(t,1),"s loss", round(sum(l[-50:])/50,3), out)
