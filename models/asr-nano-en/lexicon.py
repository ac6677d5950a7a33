"""Words that the training sentences are built from. Written for this recipe; one word class a name."""

from __future__ import annotations


def words(text: str) -> list[str]:
    return text.split()


NAMES = words("""Anna Ben Carla David Emma Frank Grace Henry Irene Jack Kate Liam Maria Nina Oliver Peter Rosa Sam
Tom Uma Vera
Will Alice Bob Clara Daniel Ella George Hannah Ivan Julia Kevin Laura Mark Nora Oscar Paul Ruth Simon Tina
Victor Wendy Adam Bella Chris Diana Eric Fiona Martin Lucy Max Sophie James John Mary Robert Michael Sarah
Philip Joe""")
PLACES = words("""London Paris Berlin Rome Madrid Boston Chicago Denver Dublin Oslo Vienna Tokyo Sydney Toronto Cairo
Lisbon
England France Germany Italy Spain America Canada Japan China India Africa Europe Texas Florida California""")
MONTHS = words("""January February March April May June July August September October November December""")
DAYS = words("""Monday Tuesday Wednesday Thursday Friday Saturday Sunday""")
PROPER = {word.lower(): word for word in (*NAMES, *PLACES, *MONTHS, *DAYS, "English", "French", "German", "American",
                                          "British", "Chinese", "Spanish", "Christmas", "God", "Bible", "York",
                                          "Mexico")}
for ambiguous in ("will", "may", "march", "mark", "max", "rose", "frank", "grace", "august", "jack"):
    PROPER.pop(ambiguous, None)

PEOPLE = words("""man woman boy girl child teacher doctor driver farmer nurse sailor soldier captain neighbour friend
brother
sister mother father uncle aunt baker painter singer writer lawyer judge king queen cook guard student worker
manager engineer artist player visitor stranger guest actor officer pilot butcher clerk hunter gardener
carpenter grandmother grandfather cousin daughter son wife husband baby lady gentleman""")
ANIMALS = words("""dog cat horse cow sheep goat pig chicken duck goose mouse rabbit fox wolf bear lion tiger monkey
elephant bird
eagle owl fish shark whale snake frog bee spider butterfly donkey squirrel""")
THINGS = words("""book table chair window door house car train bus boat ship plane bicycle road street bridge river
lake sea
mountain hill forest tree flower garden field farm village town city shop market school church hospital hotel
kitchen bedroom bathroom roof floor wall room office station harbour beach island tower castle museum library
park bell clock watch lamp candle mirror picture camera phone computer radio television keyboard screen letter
paper pen pencil knife fork spoon plate cup glass bottle basket box bag purse wallet key ring coat hat shirt
dress shoe sock glove scarf umbrella blanket pillow bed towel soap brush comb hammer nail saw ladder rope wheel
engine machine tool lock fence gate path stone rock sand cloud rain snow wind storm sun moon star sky light
shadow fire smoke water ice bread butter cheese milk egg apple orange banana lemon grape cherry potato tomato
onion carrot soup salad cake cookie sugar salt pepper coffee tea juice wine beer rice meat breakfast lunch
dinner song story poem game ball doll toy drum guitar piano violin dance film play newspaper magazine map ticket
passport suitcase coin money bank price gift card question answer idea plan dream secret problem lesson test
mistake message meeting party wedding birthday holiday journey summer winter spring autumn morning afternoon
evening night week month year minute hour moment""")
ADJECTIVES = words("""old young new big small large little long short tall high low wide narrow deep thick thin heavy
light fast slow
hot cold warm cool wet dry clean dirty bright dark quiet loud soft hard rough smooth sharp strong weak rich poor
happy sad angry tired hungry thirsty sick healthy kind gentle brave clever foolish lazy busy empty full open
closed early late easy difficult simple strange famous important beautiful ugly pretty pleasant terrible
wonderful dangerous safe cheap expensive broken lost wooden golden silver round square flat fresh sweet bitter
red blue green yellow white black brown grey pink purple orange free ready certain careful""")
PASTS = words("""saw found lost took brought carried watched heard made built broke fixed cleaned painted bought sold
gave sent
kept opened closed pushed pulled dropped threw caught hid held left touched needed wanted liked loved hated
remembered forgot moved changed washed counted measured followed met helped called visited described drew
noticed ordered paid wrote read knew understood chose finished started stopped turned filled lifted""")
BASES = words("""see find lose take bring carry watch hear make build break fix clean paint buy sell give send keep
open close
push pull drop throw catch hide hold leave touch need want like love hate remember forget move change wash count
measure follow meet help call visit describe draw notice order pay write read know understand choose finish
start stop turn fill lift""")
WENT = words("""went walked ran drove flew sailed travelled swam climbed jumped fell stood sat slept waited worked
lived played
sang danced talked laughed cried smiled shouted whispered listened looked stayed returned arrived""")
GO = words("""go walk run drive fly sail travel swim climb jump fall stand sit sleep wait work live play sing dance
talk laugh
cry smile shout whisper listen look stay return arrive""")
ADVERBS = words("""slowly quickly quietly loudly carefully suddenly often never always sometimes again today
yesterday tomorrow
soon later together alone outside inside everywhere twice once early late easily gladly already almost perhaps""")
PREPOSITIONS = words("""in on under near behind beside above below across into through over around from to with
without before after
against between along past""")
OPENERS = words("""Well Yes No Then Now So But And Perhaps Today Yesterday Tomorrow Sometimes Finally Suddenly
Actually Also Still
Soon Maybe Of-course In-fact After-all At-last By-the-way""")
UNITS = words("""miles kilometers meters feet inches yards centimeters millimeters grams kilograms pounds ounces
liters gallons
pints cups degrees celsius fahrenheit seconds minutes hours days weeks months years bytes kilobytes megabytes
tons tablespoons teaspoons percent dollars euros""")
EFFECTS = words("""cartoon sketch blur grey sepia mirror edges glow pixel negative vintage golden-hour comic
oil-painting black-
and-white night-vision rainbow""")
SPELLED = words("""necessary separate rhythm receive believe weird beautiful definitely embarrass occurred
accommodate committee
knowledge restaurant calendar library February Wednesday neighbour business conscience science environment
government immediately language privilege recommend schedule success tomorrow until village which writing yacht
zebra queue psychology bicycle""")
LETTERS = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
UNFIT = ("fuck", "shit", "bitch", "nigg", "cunt", "slut", "whore", "fag", "rape", "rapist", "porn", "dick", "cock",
         "pussy", "asshole", "bastard", "retard", "scumbag", "sex", "nazi", "suicid", "molest", "tits", "penis",
         "vagina")
