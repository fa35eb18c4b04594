"""English to French: nearly the same order, with agreement, elision, negation in two words and adjectives that swap.

A noun phrase agrees in gender and number; an adjective of size stands before the French noun, all others behind it, so
that two of them are mirrored. "did" is linked to the auxiliary verb of the compound past, and "not" to both ``ne`` and
``pas``. "does" and "do" have no counterpart, and so no link.

>>> pair = ENGLISH_FRENCH.translate("the man did not find the big red house")
>>> " ".join(pair.target)
"l' homme n' a pas trouvé la grande maison rouge"
>>> [(pair.source[i], pair.target[j]) for i, j in sorted(pair.links)][2:5]
[('did', 'a'), ('not', "n'"), ('not', 'pas')]
"""

from .grammar import Grammar

_RULES = r"""
gender = m f
number = s p              # singular, plural
person = 1s s 1p p        # i, he or she, we, they
kind   = human animal thing food place
frame  = see eat sleep    # what a verb may take: anything, food, nothing

S -> CLAUSE
S -> CLAUSE JOIN S
JOIN -> and:1 | et:1
JOIN -> but:1 | mais:1
JOIN -> so:1 | donc:1
JOIN -> when:1 | quand:1
JOIN -> because:1 | parce+que:1
JOIN -> while:1 | pendant+que:1
JOIN -> as+soon+as:1 | dès+que:1

# Clauses

first = 1s 1p
CLAUSE (8) -> SUBJECT.number VERB.number
CLAUSE (3) -> SUBJECT.first VERB.first
CLAUSE -> SUBJECT.person SAY.person that:1 CLAUSE | SUBJECT.person SAY.person que:1 CLAUSE
CLAUSE -> AGENT.gender.number STATE.living.gender.number
CLAUSE -> NP.animal.gender.number STATE.colour.gender.number
CLAUSE -> ITEM.gender.number STATE.colour.gender.number
CLAUSE -> ITEM.gender.number STATE.lifeless.gender.number

SUBJECT.1s -> i:1 | je:1
SUBJECT.1p -> we:1 | nous:1
SUBJECT.number -> AGENT.gender.number

AGENT.m.s (2) -> he:1 | il:1
AGENT.f.s (2) -> she:1 | elle:1
AGENT.m.p (2) -> they:1 | ils:1
AGENT.gender.number (3) -> NP.human.gender.number
AGENT.gender.number (2) -> NP.animal.gender.number
AGENT.gender.number -> NP.human.gender.number who:1 VERB.number | NP.human.gender.number qui:1 VERB.number
AGENT.gender.number -> NP.animal.gender.number that:1 VERB.number | NP.animal.gender.number qui:1 VERB.number

ITEM.gender.number -> NP.thing.gender.number
ITEM.gender.number -> NP.food.gender.number
ITEM.gender.number -> NP.place.gender.number

sort = living lifeless colour
STATE.sort.gender.number -> BE.number ADJ.sort.gender.number
STATE.sort.gender.number -> BE.number not:1 ADJ.sort.gender.number | ne:1 BE.number pas:1 ADJ.sort.gender.number
BE.s -> is:1 | est:1
BE.p -> are:1 | sont:1

# Verb phrases: what is done, then with whom, where and when

VERB.person (4) -> ACT.person
VERB.person -> ACT.person COMPANY
VERB.person -> ACT.person COMPANY PLACE
VERB.person -> ACT.person PLACE
VERB.person -> ACT.person PLACE TIME
VERB.person -> ACT.person TIME

ACT.person (2) -> YES.sleep.person
ACT.person (4) -> YES.see.person OBJECT
ACT.person (2) -> YES.eat.person FOOD
ACT.person -> NO.sleep.person
ACT.person (2) -> NO.see.person NO_OBJECT
ACT.person -> NO.eat.person NO_FOOD
ACT.person -> V.see.person PRONOUN | PRONOUN V.see.person

OBJECT -> NP.kind.gender.number
FOOD -> NP.food.gender.number
NO_OBJECT -> DEFINITE.kind.gender.number
NO_OBJECT -> NONE.kind.gender.number
NO_FOOD -> DEFINITE.food.gender.number
NO_FOOD -> NONE.food.gender.number
PRONOUN -> him:1 | le:1
PRONOUN -> her:1 | la:1
PRONOUN -> them:1 | les:1

YES.frame.person (3) -> V.frame.person
YES.frame.person -> ADVERB V.frame.person | V.frame.person ADVERB
YES.frame.person (2) -> PAST.frame.person
YES.frame.person (2) -> HAVE.person DONE.frame
YES.frame.person -> HAVE.person ADVERB DONE.frame
NO.frame.1s -> do not:1 V.frame.1s | ne:1 V.frame.1s pas:1
NO.frame.s -> does not:1 V.frame.base | ne:1 V.frame.base pas:1
NO.frame.1p -> do not:1 V.frame.1p | ne:1 V.frame.1p pas:1
NO.frame.p -> do not:1 V.frame.p | ne:1 V.frame.p pas:1
NO.frame.person -> never:1 V.frame.person | ne:1 V.frame.person jamais:1
NO.frame.person -> HAVE.person not:1 DONE.frame | ne:1 HAVE.person pas:1 DONE.frame
NO.frame.person -> HAVE.person never:1 DONE.frame | ne:1 HAVE.person jamais:1 DONE.frame
NO.frame.1s -> did:1 not:2 DID.frame | ne:2 ai:1 pas:2 DID.frame
NO.frame.s -> did:1 not:2 DID.frame | ne:2 a:1 pas:2 DID.frame
NO.frame.1p -> did:1 not:2 DID.frame | ne:2 avons:1 pas:2 DID.frame
NO.frame.p -> did:1 not:2 DID.frame | ne:2 ont:1 pas:2 DID.frame

HAVE.1s HAVE.s HAVE.1p HAVE.p:
  have has have have | ai a avons ont
ADVERB:
  often | souvent
  always | toujours
  already | déjà
  really | vraiment

COMPANY -> with:1 NP.human.gender.number | avec:1 NP.human.gender.number
COMPANY -> for:1 NP.human.gender.number | pour:1 NP.human.gender.number
PLACE -> in:1 NP.place.gender.number | dans:1 NP.place.gender.number
PLACE -> behind:1 NP.place.gender.number | derrière:1 NP.place.gender.number
PLACE -> in+front+of:1 NP.place.gender.number | devant:1 NP.place.gender.number
TIME -> today:1 | aujourd'hui:1
TIME -> here:1 | ici:1
TIME -> this:1 morning:2 | ce:1 matin:2
TIME -> this:1 evening:2 | ce:1 soir:2

# Noun phrases

NP.kind.gender.number (2) -> DEFINITE.kind.gender.number
NP.kind.gender.number -> INDEFINITE.kind.gender.number
DEFINITE.kind.gender.number -> THE.gender.number NOUN.kind.gender.number
INDEFINITE.kind.gender.s -> ONE.gender NOUN.kind.gender.s
INDEFINITE.kind.gender.p -> SEVERAL NOUN.kind.gender.p
INDEFINITE.kind.gender.p -> some:1 CORE.kind.gender.p | des:1 CORE.kind.gender.p
INDEFINITE.kind.gender.p -> some:1 ADJ.size.gender.p CORE.kind.gender.p | de:1 ADJ.size.gender.p CORE.kind.gender.p
NONE.kind.gender.s -> a:1 NOUN.kind.gender.s | de:1 NOUN.kind.gender.s
NONE.kind.gender.p -> any:1 NOUN.kind.gender.p | de:1 NOUN.kind.gender.p

NOUN.kind.gender.number (2) -> CORE.kind.gender.number
NOUN.kind.gender.number -> ADJ.size.gender.number CORE.kind.gender.number

body = animal thing food place
item = thing food place
CORE.kind.gender.number (4) -> N.kind.gender.number
CORE.body.gender.number -> ADJ.colour.gender.number N.body.gender.number | N.body.gender.number ADJ.colour.gender.number
CORE.human.gender.number -> ADJ.living.gender.number N.human.gender.number \
    | N.human.gender.number ADJ.living.gender.number
CORE.animal.gender.number -> ADJ.living.gender.number N.animal.gender.number \
    | N.animal.gender.number ADJ.living.gender.number
CORE.item.gender.number -> ADJ.lifeless.gender.number N.item.gender.number \
    | N.item.gender.number ADJ.lifeless.gender.number
CORE.animal.gender.number -> ADJ.living.gender.number ADJ.colour.gender.number N.animal.gender.number \
    | N.animal.gender.number ADJ.colour.gender.number ADJ.living.gender.number
CORE.item.gender.number -> ADJ.lifeless.gender.number ADJ.colour.gender.number N.item.gender.number \
    | N.item.gender.number ADJ.colour.gender.number ADJ.lifeless.gender.number

THE.m.s THE.f.s THE.m.p THE.f.p:
  (6) the | le la les les
  this this these these | ce cette ces ces
  my | mon ma mes mes
  his | son sa ses ses
  her | son sa ses ses
  our | notre notre nos nos
  their | leur leur leurs leurs
ONE.m ONE.f:
  (3) a | un une
  every | chaque
SEVERAL -> many:1 | beaucoup+de:1
SEVERAL -> two:1 | deux:1
SEVERAL -> three:1 | trois:1

# Words

ADJ.size.m.s ADJ.size.f.s ADJ.size.m.p ADJ.size.f.p:    # before the French noun
  small | petit petite petits petites
  big | grand grande grands grandes
  pretty | joli jolie jolis jolies
  good | bon bonne bons bonnes
  new | nouveau nouvelle nouveaux nouvelles
  beautiful | beau belle beaux belles
ADJ.colour.m.s ADJ.colour.f.s ADJ.colour.m.p ADJ.colour.f.p:    # after the French noun
  red | rouge rouge rouges rouges
  black | noir noire noirs noires
  white | blanc blanche blancs blanches
  green | vert verte verts vertes
  blue | bleu bleue bleus bleues
ADJ.living.m.s ADJ.living.f.s ADJ.living.m.p ADJ.living.f.p:
  tired | fatigué fatiguée fatigués fatiguées
  happy | heureux heureuse heureux heureuses
  sad | triste triste tristes tristes
  strange | étrange étrange étranges étranges
ADJ.lifeless.m.s ADJ.lifeless.f.s ADJ.lifeless.m.p ADJ.lifeless.f.p:
  heavy | lourd lourde lourds lourdes
  cold | froid froide froids froides
  dirty | sale sale sales sales
  round | rond ronde ronds rondes

N.human.m.s N.human.m.p:
  man men | homme hommes
  boy boys | garçon garçons
  king kings | roi rois
  father fathers | père pères
  friend friends | ami amis
  child children | enfant enfants
N.human.f.s N.human.f.p:
  woman women | femme femmes
  girl girls | fille filles
  queen queens | reine reines
  mother mothers | mère mères
N.animal.m.s N.animal.m.p:
  dog dogs | chien chiens
  cat cats | chat chats
  horse horses | cheval chevaux
  bird birds | oiseau oiseaux
N.animal.f.s N.animal.f.p:
  cow cows | vache vaches
  mouse mice | souris souris
N.thing.m.s N.thing.m.p:
  book books | livre livres
  tree trees | arbre arbres
  hat hats | chapeau chapeaux
N.thing.f.s N.thing.f.p:
  car cars | voiture voitures
  box boxes | boîte boîtes
  star stars | étoile étoiles
  sword swords | épée épées
N.food.m.s N.food.m.p:
  cake cakes | gâteau gâteaux
  lemon lemons | citron citrons
N.food.f.s N.food.f.p:
  pear pears | poire poires
  soup soups | soupe soupes
N.place.m.s N.place.m.p:
  garden gardens | jardin jardins
  castle castles | château châteaux
  hotel hotels | hôtel hôtels
N.place.f.s N.place.f.p:
  house houses | maison maisons
  school schools | école écoles
  church churches | église églises
  kitchen kitchens | cuisine cuisines

SAY.1s SAY.s SAY.1p SAY.p:
  say says say say | dis dit disons disent
  know knows know know | sais sait savons savent
  think thinks think think | pense pense pensons pensent
V.see.1s V.see.s V.see.1p V.see.p V.see.base DONE.see DID.see:
  see sees see see see seen see | vois voit voyons voient voit vu vu
  love loves love love love loved love | aime aime aimons aiment aime aimé aimé
  watch watches watch watch watch watched watch | regarde regarde regardons regardent regarde regardé regardé
  find finds find find find found find | trouve trouve trouvons trouvent trouve trouvé trouvé
  look+for looks+for look+for look+for look+for looked+for look+for \
    | cherche cherche cherchons cherchent cherche cherché cherché
  buy buys buy buy buy bought buy | achète achète achetons achètent achète acheté acheté
  hear hears hear hear hear heard hear | entends entend entendons entendent entend entendu entendu
PAST.see.1s PAST.see.s PAST.see.1p PAST.see.p:
  saw | ai+vu a+vu avons+vu ont+vu
  loved | ai+aimé a+aimé avons+aimé ont+aimé
  watched | ai+regardé a+regardé avons+regardé ont+regardé
  found | ai+trouvé a+trouvé avons+trouvé ont+trouvé
  looked+for | ai+cherché a+cherché avons+cherché ont+cherché
  bought | ai+acheté a+acheté avons+acheté ont+acheté
  heard | ai+entendu a+entendu avons+entendu ont+entendu
V.eat.1s V.eat.s V.eat.1p V.eat.p V.eat.base DONE.eat DID.eat:
  eat eats eat eat eat eaten eat | mange mange mangeons mangent mange mangé mangé
  cook cooks cook cook cook cooked cook | cuisine cuisine cuisinons cuisinent cuisine cuisiné cuisiné
  sell sells sell sell sell sold sell | vends vend vendons vendent vend vendu vendu
PAST.eat.1s PAST.eat.s PAST.eat.1p PAST.eat.p:
  ate | ai+mangé a+mangé avons+mangé ont+mangé
  cooked | ai+cuisiné a+cuisiné avons+cuisiné ont+cuisiné
  sold | ai+vendu a+vendu avons+vendu ont+vendu
V.sleep.1s V.sleep.s V.sleep.1p V.sleep.p V.sleep.base DONE.sleep DID.sleep:
  sleep sleeps sleep sleep sleep slept sleep | dors dort dormons dorment dort dormi dormi
  sing sings sing sing sing sung sing | chante chante chantons chantent chante chanté chanté
  dance dances dance dance dance danced dance | danse danse dansons dansent danse dansé dansé
  work works work work work worked work | travaille travaille travaillons travaillent travaille travaillé travaillé
  wait waits wait wait wait waited wait | attends attend attendons attendent attend attendu attendu
PAST.sleep.1s PAST.sleep.s PAST.sleep.1p PAST.sleep.p:
  slept | ai+dormi a+dormi avons+dormi ont+dormi
  sang | ai+chanté a+chanté avons+chanté ont+chanté
  danced | ai+dansé a+dansé avons+dansé ont+dansé
  worked | ai+travaillé a+travaillé avons+travaillé ont+travaillé
  waited | ai+attendu a+attendu avons+attendu ont+attendu
"""

ENGLISH_FRENCH = Grammar(
    "english_french",
    "S",
    _RULES,
    elision={
        "le": "l'",
        "la": "l'",
        "je": "j'",
        "ne": "n'",
        "de": "d'",
        "que": "qu'",
        "ce": "cet",
        "ma": "mon",
        "sa": "son",
        "beau": "bel",
        "nouveau": "nouvel",
    },
    before="""
        homme hommes ami amis enfant enfants oiseau oiseaux arbre arbres étoile étoiles épée épées hôtel hôtels
        école écoles église églises il elle ils un une a ai avons ont est aime aimons aiment achète achetons achètent
        entends entend entendons entendent attends attend attendons attendent
    """,
)
