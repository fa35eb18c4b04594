"""English to Japanese in Latin letters: words travel far, for the verb comes last and whole clauses change places.

The polite endings (``masu``, ``masen``) are words of their own, so that a negation at the end of the sentence has its
own link. Articles and the particles of topic, subject and object (``wa``, ``ga``, ``o``) have no counterpart, and so
no link.

>>> pair = ENGLISH_JAPANESE.translate("the boy does not eat the cake because he is busy")
>>> " ".join(pair.target)
'kare ga isogashii desu kara shounen wa keeki o tabe masen'
"""

from .grammar import Grammar

_RULES = r"""
number = s p                          # singular (he, she), plural (and i, you)
mark   = wa ga                        # the particle of a subject: wa in a main clause, ga in one that depends on it
mood   = polite plain                 # plain in relative clauses and before toki, nara, to
tense  = now past
kind   = human animal thing food place
frame  = see eat drink sleep go give  # a verb takes anything, food, a drink, nothing, a place to go to, a gift

# Sentences: with "because" and "although" everything that follows changes places with the clause before it

S.mark (2) -> STEP.mark
S.wa -> STEP.wa and:1 S.wa | STEP.wa soshite:1 S.wa
S.ga -> STEP.ga and:1 S.ga | STEP.ga shi:1 S.ga
S.wa -> STEP.wa but:1 S.wa | STEP.wa ga:1 S.wa
S.mark -> STEP.ga so:1 S.mark | STEP.ga node:1 S.mark
S.mark -> STEP.mark because:1 S.ga | S.ga kara:1 STEP.mark
S.mark -> STEP.mark although:1 S.ga | S.ga keredo:1 STEP.mark
STEP.mark (4) -> CLAUSE.mark
STEP.mark -> CLAUSE.mark when:1 PLAIN | PLAIN toki:1 CLAUSE.mark
STEP.mark -> CLAUSE.mark if:1 PLAIN | moshi:1 PLAIN nara:1 CLAUSE.mark

# Clauses

CLAUSE.wa (6) -> SUBJECT.number VERB.polite.tense.number | SUBJECT.number wa VERB.polite.tense.number
CLAUSE.ga (6) -> SUBJECT.number VERB.polite.tense.number | SUBJECT.number ga VERB.polite.tense.number
CLAUSE.wa -> SUBJECT.number SAID that:1 PLAIN | SUBJECT.number wa PLAIN to:1 SAID
CLAUSE.ga -> SUBJECT.number SAID that:1 PLAIN | SUBJECT.number ga PLAIN to:1 SAID
CLAUSE.wa -> PERSON.number STATE.human.polite.number | PERSON.number wa STATE.human.polite.number
CLAUSE.ga -> PERSON.number STATE.human.polite.number | PERSON.number ga STATE.human.polite.number
CLAUSE.wa -> ITEM.number STATE.thing.polite.number | ITEM.number wa STATE.thing.polite.number
CLAUSE.ga -> ITEM.number STATE.thing.polite.number | ITEM.number ga STATE.thing.polite.number
PLAIN (6) -> SUBJECT.number VERB.plain.tense.number | SUBJECT.number ga VERB.plain.tense.number
PLAIN -> PERSON.number STATE.human.plain.number | PERSON.number ga STATE.human.plain.number
PLAIN -> ITEM.number STATE.thing.plain.number | ITEM.number ga STATE.thing.plain.number

SUBJECT.p -> i:1 | watashi:1
SUBJECT.number (2) -> PERSON.number
SUBJECT.number -> NP.animal.number
SUBJECT.number -> the N.human.number who VERB.plain.tense.number | VERB.plain.tense.number N.human.number
SUBJECT.number -> the N.animal.number that VERB.plain.tense.number | VERB.plain.tense.number N.animal.number
PERSON.s -> he:1 | kare:1
PERSON.s -> she:1 | kanojo:1
PERSON.p -> we:1 | watashitachi:1
PERSON.p -> you:1 | anata:1
PERSON.p -> they:1 | karera:1
PERSON.number (4) -> NP.human.number
thinglike = animal thing food place
ITEM.number -> NP.thinglike.number

sort = human thing
STATE.sort.polite.s (2) -> is:1 ADJ.sort | ADJ.sort desu:1
STATE.sort.polite.p (2) -> are:1 ADJ.sort | ADJ.sort desu:1
STATE.sort.polite.s -> is:1 not:2 NOT.sort | NOT.sort nai:2 desu:1
STATE.sort.polite.p -> are:1 not:2 NOT.sort | NOT.sort nai:2 desu:1
STATE.sort.plain.s (2) -> is ADJ.sort | ADJ.sort
STATE.sort.plain.p (2) -> are ADJ.sort | ADJ.sort
STATE.sort.plain.s -> is not:1 NOT.sort | NOT.sort nai:1
STATE.sort.plain.p -> are not:1 NOT.sort | NOT.sort nai:1

# Verb phrases: all that follows the English verb comes before the Japanese one, in the opposite order

VERB.mood.tense.number (3) -> ACT.mood.tense.number
VERB.mood.tense.number -> ACT.mood.tense.number PLACE | PLACE ACT.mood.tense.number
VERB.mood.tense.number -> ACT.mood.tense.number COMPANY | COMPANY ACT.mood.tense.number
VERB.mood.tense.number -> ACT.mood.tense.number COMPANY PLACE | PLACE COMPANY ACT.mood.tense.number
VERB.mood.tense.number -> ACT.mood.tense.number TIME.tense | TIME.tense ACT.mood.tense.number
VERB.mood.tense.number -> ACT.mood.tense.number PLACE TIME.tense | TIME.tense PLACE ACT.mood.tense.number
VERB.mood.tense.number -> MOVE.mood.tense.number
VERB.mood.tense.number -> MOVE.mood.tense.number COMPANY | COMPANY MOVE.mood.tense.number
VERB.mood.tense.number -> MOVE.mood.tense.number TIME.tense | TIME.tense MOVE.mood.tense.number

ACT.mood.tense.number -> DO.sleep.mood.tense.number
ACT.mood.tense.number (2) -> DO.see.mood.tense.number OBJECT | OBJECT o DO.see.mood.tense.number
ACT.mood.tense.number -> DO.eat.mood.tense.number FOOD | FOOD o DO.eat.mood.tense.number
ACT.mood.tense.number -> DO.drink.mood.tense.number DRINK | DRINK o DO.drink.mood.tense.number
ACT.mood.tense.number -> DO.give.mood.tense.number GIFT to:1 RECEIVER | RECEIVER ni:1 GIFT o DO.give.mood.tense.number
MOVE.mood.tense.number -> DO.go.mood.tense.number to:1 GOAL | GOAL ni:1 DO.go.mood.tense.number
OBJECT (3) -> NP.kind.number
OBJECT -> PRONOUN
FOOD -> NP.food.number
GIFT -> NP.thing.number
GOAL -> NP.place.number
RECEIVER -> NP.human.number

DO.frame.polite.now.number (3) -> YES.frame.number
DO.frame.polite.now.number -> ADVERB YES.frame.number
DO.frame.polite.now.s (2) -> does not:1 BASE.frame | BASE.frame masen:1
DO.frame.polite.now.p (2) -> do not:1 BASE.frame | BASE.frame masen:1
DO.frame.polite.now.number -> can:1 CAN.frame | CAN.frame koto+ga+deki+masu:1
DO.frame.polite.now.number -> cannot:1 CAN.frame | CAN.frame koto+ga+deki+masen:1
DO.frame.polite.past.number (2) -> PAST.frame
DO.frame.polite.past.number -> did:1 not:2 BASE.frame | BASE.frame masen:2 deshita:1
DO.frame.plain.now.number (2) -> PLAIN.frame.number
DO.frame.plain.now.s -> does not:1 UNDO.frame | UNDO.frame nai:1
DO.frame.plain.now.p -> do not:1 UNDO.frame | UNDO.frame nai:1
DO.frame.plain.past.number (2) -> PLAINPAST.frame
DO.frame.plain.past.number -> did:1 not:1 UNDO.frame | UNDO.frame nakatta:1

PLACE (2) -> in:1 NP.place.number | NP.place.number de:1
PLACE -> behind:1 NP.place.number | NP.place.number no+ushiro+de:1
PLACE -> in+front+of:1 NP.place.number | NP.place.number no+mae+de:1
COMPANY -> with:1 NP.human.number | NP.human.number to+issho+ni:1
TIME.tense -> today:1 | kyou:1
TIME.tense -> every+day:1 | mainichi:1
TIME.tense -> at+night:1 | yoru:1
TIME.tense -> in+the+morning:1 | asa:1
TIME.past (2) -> yesterday:1 | kinou:1
TIME.past -> last+week:1 | senshuu:1
ADVERB -> often:1 | yoku:1
ADVERB -> always:1 | itsumo:1

# Noun phrases

NP.kind.number (3) -> the NOUN.kind.number | NOUN.kind.number
NP.kind.s (2) -> a NOUN.kind.s | NOUN.kind.s
NP.kind.number (2) -> OWNER NOUN.kind.number
NP.kind.s -> this:1 NOUN.kind.s | kono:1 NOUN.kind.s
NP.kind.p -> these:1 NOUN.kind.p | kono:1 NOUN.kind.p
NP.kind.p -> many:1 NOUN.kind.p | takusan+no:1 NOUN.kind.p
NP.human.p -> two:1 NOUN.human.p | futari+no:1 NOUN.human.p
NP.human.p -> three:1 NOUN.human.p | sannin+no:1 NOUN.human.p
NP.food.p -> two:1 NOUN.food.p | futatsu+no:1 NOUN.food.p
NP.food.p -> three:1 NOUN.food.p | mittsu+no:1 NOUN.food.p
NOUN.kind.number (3) -> N.kind.number
NOUN.human.number -> ADJ.human N.human.number
NOUN.thinglike.number -> ADJ.thing N.thinglike.number
NOUN.thinglike.number -> SIZE ADJ.thing N.thinglike.number
OWNER:
  my | watashi+no
  your | anata+no
  his | kare+no
  her | kanojo+no
  our | watashitachi+no
  their | karera+no
PRONOUN:
  me | watashi
  you | anata
  him | kare
  her | kanojo
  us | watashitachi
  them | karera

# Words

SIZE:
  big | ookii
  small | chiisai
ADJ.thing NOT.thing:
  new | atarashii atarashiku
  red | akai akaku
  white | shiroi shiroku
  black | kuroi kuroku
  heavy | omoi omoku
  beautiful | utsukushii utsukushiku
ADJ.human NOT.human:
  young | wakai wakaku
  kind | yasashii yasashiku
  busy | isogashii isogashiku
  strong | tsuyoi tsuyoku

N.human.s N.human.p:
  man men | dansei
  woman women | josei
  boy boys | shounen
  girl girls | shoujo
  child children | kodomo
  friend friends | tomodachi
  teacher teachers | sensei
  doctor doctors | isha
N.animal.s N.animal.p:
  cat cats | neko
  dog dogs | inu
  bird birds | tori
  horse horses | uma
  mouse mice | nezumi
N.thing.s N.thing.p:
  book books | hon
  car cars | kuruma
  letter letters | tegami
  box boxes | hako
  hat hats | boushi
  key keys | kagi
  flower flowers | hana
N.food.s N.food.p:
  cake cakes | keeki
  pear pears | nashi
  peach peaches | momo
  lemon lemons | remon
N.place.s N.place.p:
  school schools | gakkou
  garden gardens | niwa
  house houses | ie
  park parks | kouen
  station stations | eki
  library libraries | toshokan
  shop shops | mise
DRINK:
  tea | ocha
  milk | miruku
  water | mizu

SAID:
  said | ii+mashita
  thought | omoi+mashita
  heard | kiki+mashita
YES.see.s YES.see.p PAST.see BASE.see CAN.see PLAIN.see.s PLAIN.see.p PLAINPAST.see UNDO.see:
  sees see saw see see sees see saw see | mi+masu mi+masu mi+mashita mi miru miru miru mita mi
  finds find found find find finds find found find \
    | mitsuke+masu mitsuke+masu mitsuke+mashita mitsuke mitsukeru mitsukeru mitsukeru mitsuketa mitsuke
  buys buy bought buy buy buys buy bought buy | kai+masu kai+masu kai+mashita kai kau kau kau katta kawa
  draws draw drew draw draw draws draw drew draw | kaki+masu kaki+masu kaki+mashita kaki kaku kaku kaku kaita kaka
  looks+for look+for looked+for look+for look+for looks+for look+for looked+for look+for \
    | sagashi+masu sagashi+masu sagashi+mashita sagashi sagasu sagasu sagasu sagashita sagasa
  waits+for wait+for waited+for wait+for wait+for waits+for wait+for waited+for wait+for \
    | machi+masu machi+masu machi+mashita machi matsu matsu matsu matta mata
YES.eat.s YES.eat.p PAST.eat BASE.eat CAN.eat PLAIN.eat.s PLAIN.eat.p PLAINPAST.eat UNDO.eat:
  eats eat ate eat eat eats eat ate eat | tabe+masu tabe+masu tabe+mashita tabe taberu taberu taberu tabeta tabe
  makes make made make make makes make made make \
    | tsukuri+masu tsukuri+masu tsukuri+mashita tsukuri tsukuru tsukuru tsukuru tsukutta tsukura
  washes wash washed wash wash washes wash washed wash \
    | arai+masu arai+masu arai+mashita arai arau arau arau aratta arawa
YES.drink.s YES.drink.p PAST.drink BASE.drink CAN.drink PLAIN.drink.s PLAIN.drink.p PLAINPAST.drink UNDO.drink:
  drinks drink drank drink drink drinks drink drank drink \
    | nomi+masu nomi+masu nomi+mashita nomi nomu nomu nomu nonda noma
YES.sleep.s YES.sleep.p PAST.sleep BASE.sleep CAN.sleep PLAIN.sleep.s PLAIN.sleep.p PLAINPAST.sleep UNDO.sleep:
  sleeps sleep slept sleep sleep sleeps sleep slept sleep | ne+masu ne+masu ne+mashita ne neru neru neru neta ne
  swims swim swam swim swim swims swim swam swim \
    | oyogi+masu oyogi+masu oyogi+mashita oyogi oyogu oyogu oyogu oyoida oyoga
  runs run ran run run runs run ran run \
    | hashiri+masu hashiri+masu hashiri+mashita hashiri hashiru hashiru hashiru hashitta hashira
  works work worked work work works work worked work \
    | hataraki+masu hataraki+masu hataraki+mashita hataraki hataraku hataraku hataraku hataraita hataraka
  sings sing sang sing sing sings sing sang sing \
    | utai+masu utai+masu utai+mashita utai utau utau utau utatta utawa
YES.go.s YES.go.p PAST.go BASE.go CAN.go PLAIN.go.s PLAIN.go.p PLAINPAST.go UNDO.go:
  goes go went go go goes go went go | iki+masu iki+masu iki+mashita iki iku iku iku itta ika
  comes come came come come comes come came come | ki+masu ki+masu ki+mashita ki kuru kuru kuru kita ko
  returns return returned return return returns return returned return \
    | kaeri+masu kaeri+masu kaeri+mashita kaeri kaeru kaeru kaeru kaetta kaera
YES.give.s YES.give.p PAST.give BASE.give CAN.give PLAIN.give.s PLAIN.give.p PLAINPAST.give UNDO.give:
  gives give gave give give gives give gave give | age+masu age+masu age+mashita age ageru ageru ageru ageta age
  shows show showed show show shows show showed show \
    | mise+masu mise+masu mise+mashita mise miseru miseru miseru miseta mise
  sends send sent send send sends send sent send \
    | okuri+masu okuri+masu okuri+mashita okuri okuru okuru okuru okutta okura
"""

ENGLISH_JAPANESE = Grammar("english_japanese", "S.wa", _RULES)
