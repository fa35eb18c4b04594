"""Chinese to English, a small grammar: measure words, words for past and negation, and time and place that move.

Chinese words are given apart. A measure word (只 in 一 只 猫) and English "the" have no counterpart, and so no link.

>>> pair = CHINESE_ENGLISH.translate("我 爱 你")
>>> [(pair.source[i], pair.target[j]) for i, j in sorted(pair.links)]
[('我', 'i'), ('爱', 'love'), ('你', 'you')]
>>> " ".join(CHINESE_ENGLISH.translate("我 昨天 没有 看见 那 只 小 猫").target)
'i did not see that small cat yesterday'
"""

from .grammar import Grammar

_RULES = r"""
person  = 1 s p        # the forms of the English verb: i, he or she, you and plural
number  = s p
measure = 个人 只 匹 本 辆 张 件 个物    # nouns by their measure word; 个 is that of persons (个人) and of food (个物)
thing   = 本 辆 张 件
beast   = 只 匹
any     = 个人 只 匹 本 辆 张 件 个物

# Sentences

S (3) -> CLAUSE
S -> CLAUSE 但是:1 S | CLAUSE but:1 S
S -> CLAUSE 而且:1 S | CLAUSE and:1 S
S -> CLAUSE 所以:1 S | CLAUSE so:1 S
S -> 因为:1 CLAUSE 所以:1 S | S because:1 CLAUSE
S -> 虽然:1 CLAUSE 但是:1 S | S although:1 CLAUSE
S -> NOW 的:1 时候:1 S | S when:1 NOW

# Clauses

CLAUSE (6) -> NOW
CLAUSE (4) -> SUBJECT.person PAST
CLAUSE (4) -> SUBJECT.person TIME.past PAST | SUBJECT.person PAST TIME.past
CLAUSE (2) -> SUBJECT.person PLACE PAST | SUBJECT.person PAST PLACE
CLAUSE (2) -> SUBJECT.person TIME.past PLACE PAST | SUBJECT.person PAST PLACE TIME.past
NOW (2) -> SUBJECT.person ACT.person
NOW -> SUBJECT.person FEEL.person
NOW -> SUBJECT.person TIME.now ACT.person | SUBJECT.person ACT.person TIME.now
NOW -> SUBJECT.person PLACE ACT.person | SUBJECT.person ACT.person PLACE
NOW -> SUBJECT.person TIME.now PLACE ACT.person | SUBJECT.person ACT.person PLACE TIME.now
NOW -> SUBJECT.person 常常:1 DO.person | SUBJECT.person often:1 DO.person
CLAUSE -> SUBJECT.person STATE.living.person
CLAUSE -> NP.any.number STATE.plain.number
CLAUSE -> SUBJECT.1 是:1 N.个人.s | SUBJECT.1 am:1 a N.个人.s
CLAUSE -> SUBJECT.1 不:1 是:2 N.个人.s | SUBJECT.1 am:2 not:1 a N.个人.s
CLAUSE -> ONE 是:1 N.个人.s | ONE is:1 a N.个人.s
CLAUSE -> ONE 不:1 是:2 N.个人.s | ONE is:2 not:1 a N.个人.s
CLAUSE -> MANY 是:1 N.个人.p | MANY are:1 N.个人.p
CLAUSE -> MANY 不:1 是:2 N.个人.p | MANY are:2 not:1 N.个人.p

SUBJECT.1 (3) -> 我:1 | i:1
SUBJECT.p -> 你:1 | you:1
SUBJECT.p (2) -> MANY
SUBJECT.s -> ONE
SUBJECT.number (2) -> NP.个人.number
SUBJECT.number (2) -> NP.beast.number
ONE -> 他:1 | he:1
ONE -> 她:1 | she:1
MANY -> 我们:1 | we:1
MANY -> 他们:1 | they:1

sort = living plain
STATE.living.1 -> BE.1 ADJ.living
STATE.living.1 -> 不:1 ADJ.living | am not:1 ADJ.living
STATE.sort.number -> BE.number ADJ.sort
STATE.sort.s -> 不:1 ADJ.sort | is not:1 ADJ.sort
STATE.sort.p -> 不:1 ADJ.sort | are not:1 ADJ.sort
BE.1 BE.s BE.p:
  很 | am is are

# Verb phrases

frame = do eat drink rest
FEEL.person (2) -> V.feel.person OBJECT
FEEL.person -> 也:1 V.feel.person OBJECT | also:1 V.feel.person OBJECT
FEEL.1 -> 不:1 B.feel OBJECT | do not:1 B.feel OBJECT
FEEL.s -> 不:1 B.feel OBJECT | does not:1 B.feel OBJECT
FEEL.p -> 不:1 B.feel OBJECT | do not:1 B.feel OBJECT

ACT.person (3) -> DO.person
ACT.person -> 也:1 DO.person | also:1 DO.person
ACT.1 -> 不:1 BASE | do not:1 BASE
ACT.s -> 不:1 BASE | does not:1 BASE
ACT.p -> 不:1 BASE | do not:1 BASE
ACT.1 -> 想:1 BASE | want:1 to:1 BASE
ACT.s -> 想:1 BASE | wants:1 to:1 BASE
ACT.p -> 想:1 BASE | want:1 to:1 BASE
DO.person -> V.do.person NP.thing.number
DO.person -> V.eat.person NP.个物.number
DO.person -> V.drink.person DRINK
DO.person -> V.rest.person
BASE -> B.do NP.thing.number
BASE -> B.eat NP.个物.number
BASE -> B.drink DRINK
BASE -> B.rest
PAST (2) -> DONE.do NP.thing.number
PAST -> DONE.eat NP.个物.number
PAST -> DONE.drink DRINK
PAST (2) -> DONE.see OBJECT
PAST -> DONE.rest
PAST -> 没有:1 BASE | did:1 not:1 BASE
PAST -> 没有:1 B.see OBJECT | did:1 not:1 B.see OBJECT

OBJECT -> PRONOUN
OBJECT -> NP.any.number
PRONOUN:
  我 | me
  你 | you
  他 | him
  她 | her
  我们 | us
  他们 | them

TIME.now TIME.past:
  今天 | today
TIME.now -> 每天:1 | every+day:1
TIME.now -> 晚上:1 | at+night:1
TIME.past -> 昨天:1 | yesterday:1
TIME.past -> 上个星期:1 | last+week:1
PLACE -> 在:1 SITE 里:1 | in:1 the SITE

# Noun phrases

NP.measure.s (2) -> 一:1 M.measure NOUN.measure.s | a:1 M.measure NOUN.measure.s
NP.measure.s -> 这:1 M.measure NOUN.measure.s | this:1 M.measure NOUN.measure.s
NP.measure.s -> 那:1 M.measure NOUN.measure.s | that:1 M.measure NOUN.measure.s
NP.measure.s (2) -> OWNER NOUN.measure.s
NP.measure.s -> HOLDER 的:1 NOUN.measure.s | HOLDER 's:1 NOUN.measure.s
NP.measure.p -> 两:1 M.measure NOUN.measure.p | two:1 M.measure NOUN.measure.p
NP.measure.p -> 三:1 M.measure NOUN.measure.p | three:1 M.measure NOUN.measure.p
NP.measure.p -> 这些:1 NOUN.measure.p | these:1 NOUN.measure.p
NP.measure.p -> 那些:1 NOUN.measure.p | those:1 NOUN.measure.p
NP.measure.p -> 很多:1 NOUN.measure.p | many:1 NOUN.measure.p
NP.个人.s -> 那:1 M.个人 DOING 的:2 N.个人.s | that:1 M.个人 N.个人.s who:2 DOING
DOING -> V.drink.s DRINK
DOING -> V.rest.s
HOLDER -> OWNER N.个人.s
HOLDER -> 这:1 M.个人 N.个人.s | this:1 M.个人 N.个人.s
HOLDER -> 那:1 M.个人 N.个人.s | that:1 M.个人 N.个人.s
OWNER:
  我+的 | my
  你+的 | your
  他+的 | his
  她+的 | her
  我们+的 | our
  他们+的 | their

M.个人 -> 个 |
M.个物 -> 个 |
M.只 -> 只 |
M.匹 -> 匹 |
M.本 -> 本 |
M.辆 -> 辆 |
M.张 -> 张 |
M.件 -> 件 |

NOUN.measure.number (3) -> N.measure.number
NOUN.个人.number -> 好:1 N.个人.number | good:1 N.个人.number
NOUN.beast.number -> SIZE N.beast.number
NOUN.beast.number -> COLOUR N.beast.number
NOUN.beast.number -> SIZE COLOUR N.beast.number
NOUN.thing.number -> AGE N.thing.number
NOUN.thing.number -> COLOUR N.thing.number
NOUN.个物.number -> SIZE N.个物.number

# Words

SIZE:
  大 | big
  小 | small
COLOUR:
  白 | white
  黑 | black
AGE:
  新 | new
  旧 | old
ADJ.living:
  高兴 | happy
  累 | tired
  忙 | busy
ADJ.plain:
  大 | big
  小 | small
  好看 | pretty

N.个人.s N.个人.p:
  老师 | teacher teachers
  学生 | student students
  医生 | doctor doctors
  朋友 | friend friends
  孩子 | child children
  演员 | actor actors
N.只.s N.只.p:
  猫 | cat cats
  狗 | dog dogs
  鸟 | bird birds
N.匹.s N.匹.p:
  马 | horse horses
N.本.s N.本.p:
  书 | book books
  词典 | dictionary dictionaries
N.辆.s N.辆.p:
  车 | car cars
  自行车 | bicycle bicycles
N.张.s N.张.p:
  桌子 | table tables
  照片 | photograph photographs
N.件.s N.件.p:
  衬衫 | shirt shirts
  大衣 | coat coats
N.个物.s N.个物.p:
  苹果 | apple apples
  梨 | pear pears
  鸡蛋 | egg eggs
  蛋糕 | cake cakes
DRINK:
  茶 | tea
  水 | water
  牛奶 | milk
SITE:
  学校 | school
  公园 | park
  花园 | garden
  图书馆 | library

V.feel.1 V.feel.s V.feel.p B.feel:
  爱 | love loves love love
  喜欢 | like likes like like
  认识 | know knows know know
V.do.1 V.do.s V.do.p B.do:
  买 | buy buys buy buy
  卖 | sell sells sell sell
  找 | look+for looks+for look+for look+for
V.eat.1 V.eat.s V.eat.p B.eat:
  吃 | eat eats eat eat
  洗 | wash washes wash wash
V.drink.1 V.drink.s V.drink.p B.drink:
  喝 | drink drinks drink drink
V.rest.1 V.rest.s V.rest.p B.rest:
  睡觉 | sleep sleeps sleep sleep
  工作 | work works work work
  唱歌 | sing sings sing sing
  跳舞 | dance dances dance dance
  哭 | cry cries cry cry
  笑 | laugh laughs laugh laugh
B.see:
  看见 | see
  帮助 | help
DONE.do:
  买+了 | bought
  卖+了 | sold
DONE.eat:
  吃+了 | ate
  洗+了 | washed
DONE.drink:
  喝+了 | drank
DONE.see:
  看见+了 | saw
  帮助+了 | helped
DONE.rest:
  哭+了 | cried
  笑+了 | laughed
"""

CHINESE_ENGLISH = Grammar("chinese_english", "S", _RULES, elision={"a": "an"}, before="actor apple egg old")
