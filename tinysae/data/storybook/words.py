"""The storybook's words: every concept by name, and the words that stand for it.

A word form means one thing in every story (no "orange" the fruit beside "orange" the
colour), so that the concepts of a word follow from its spelling alone. Entries with
a space are phrases: each of their words carries the concepts of the whole.
"""

from __future__ import annotations

from typing import Final


def split_words(text: str) -> tuple[str, ...]:
    """The words of `text`."""
    return tuple(text.split())


GIRL_NAMES: Final[tuple[str, ...]] = split_words(
    """Lily Mia Emma Anna Lucy Sara Zoe Ella Amy Molly Nora Ruby Daisy Sophie Chloe
    Jane Rosie Kate Maya Lena Clara Ivy Tina Poppy Alice Hannah"""
)
BOY_NAMES: Final[tuple[str, ...]] = split_words(
    """Tom Ben Max Sam Jack Leo Tim Finn Noah Oscar Peter Billy Jake Luke Adam Danny
    Henry Toby Bob George Eric Owen Felix Hugo Theo David"""
)
PET_NAMES: Final[tuple[str, ...]] = split_words(
    """Spot Fluffy Biscuit Coco Rex Buddy Whiskers Pepper Patch Bella Pip Goldie
    Ginger Waffles Nibbles Rusty"""
)

# name -> (description, words separated by spaces, phrases joined by underscores)
_TABLE: Final[dict[str, tuple[str, str]]] = {
    # people
    "girl_name": ("the name of a girl", " ".join(GIRL_NAMES)),
    "boy_name": ("the name of a boy", " ".join(BOY_NAMES)),
    "pet_name": ("the name of an animal", " ".join(PET_NAMES)),
    "child": ("a child", "girl boy child children kids girls boys baby"),
    "girl_word": ("a word for a female person", "girl girls mom grandma sister aunt"),
    "boy_word": ("a word for a male person", "boy boys dad grandpa brother uncle"),
    "parent": ("mother or father", "mom dad parents"),
    "grandparent": ("grandmother or grandfather", "grandma grandpa"),
    "sibling": ("sister or brother", "sister brother"),
    "friend": ("a friend", "friend friends friendship"),
    "job": (
        "a person known by their work",
        "teacher baker farmer doctor painter sailor gardener firefighter librarian"
        " clown policeman",
    ),
    "she_pronoun": ("a pronoun for a girl", "she her hers herself"),
    "he_pronoun": ("a pronoun for a boy", "he him his himself"),
    "it_pronoun": ("it and its", "it its"),
    "they_pronoun": ("a pronoun for several", "they them their theirs"),
    "i_pronoun": ("the speaker", "i me my mine myself"),
    "you_pronoun": ("the person spoken to", "you your yours"),
    "we_pronoun": ("the speaker and others", "we us our"),
    # animals
    "animal": (
        "any animal",
        "animal animals dog cat puppy kitten hamster pony parrot cow pig sheep goat"
        " horse hen lamb fox bear squirrel rabbit frog turtle mouse hedgehog deer owl"
        " bird birds robin duck ducks bee butterfly ladybug ant ants snail wolf fish"
        " elephant lion monkey giraffe penguin bees",
    ),
    "pet": ("an animal that lives with people", "dog cat puppy kitten hamster parrot"),
    "farm_animal": ("an animal of the farm", "cow pig sheep goat horse hen lamb pony"),
    "forest_animal": (
        "an animal of the forest",
        "fox bear squirrel rabbit hedgehog deer owl mouse",
    ),
    "zoo_animal": ("an animal of the zoo", "elephant lion monkey giraffe penguin"),
    "bird": ("a bird", "bird birds robin duck ducks owl hen parrot penguin"),
    "insect": ("an insect", "bee bees butterfly ladybug ant ants"),
    "animal_part": ("a part of an animal", "tail wing wings fur paw paws nest"),
    "animal_sound": (
        "a sound that an animal makes",
        "barked meowed chirped quacked squeaked mooed purred buzzed croaked sang"
        " growled woof meow",
    ),
    # things
    "toy": (
        "a toy",
        "toy toys ball kite doll teddy_bear train puppet drum robot yo-yo top boat"
        " balloon scooter skateboard puzzle blocks marble rocket dollhouse airplane"
        " truck car toy_box bike hoop whistle",
    ),
    "vehicle": (
        "something that carries people",
        "train boat scooter skateboard rocket airplane truck car bike bus ship wagon",
    ),
    "music": (
        "music and instruments",
        "music song songs drum piano guitar flute whistle violin trumpet tune",
    ),
    "book": ("something to read or write", "book books story stories letter page"),
    "clothing": (
        "something to wear",
        "hat scarf coat boots mittens sweater dress shoes shoe socks cape glove",
    ),
    "container": ("something that holds things", "box basket bag jar bucket bowl cup"),
    "furniture": ("a thing of the house", "bed chair table door window shelf stairs"),
    "tool": (
        "a thing to work with",
        "rope ladder shovel hammer glue tape brush paint net lamp lantern umbrella"
        " blanket bandage map key stick needle string",
    ),
    "treasure": ("a precious thing", "treasure gold coin coins ring medal prize pearl"),
    "gift": ("a present", "gift present surprise card"),
    "food": (
        "any food",
        "food apple apples pear pears peach peaches berry berries banana bananas plum"
        " plums cherry cherries grapes strawberries cookie cookies cake cakes pie pies"
        " muffin muffins pancake pancakes cupcake cupcakes ice_cream candy"
        " carrot carrots pumpkin pumpkins tomato tomatoes beans potatoes soup"
        " sandwich sandwiches bread cheese nut nuts honey lunch dinner breakfast"
        " snack pizza popcorn",
    ),
    "fruit": (
        "a fruit",
        "apple apples pear pears peach peaches berry berries banana bananas plum plums"
        " cherry cherries grapes strawberries",
    ),
    "sweet_food": (
        "a sweet treat",
        "cookie cookies cake cakes pie pies muffin muffins pancake pancakes cupcake"
        " cupcakes ice_cream candy honey",
    ),
    "vegetable": (
        "a vegetable",
        "carrot carrots pumpkin pumpkins tomato tomatoes beans potatoes",
    ),
    "meal": ("a meal", "lunch dinner breakfast snack picnic"),
    "drink": ("a drink", "milk juice tea cocoa lemonade"),
    "plant": (
        "something that grows",
        "tree trees flower flowers grass leaf leaves seed seeds bush roots branch"
        " branches rose roses sunflower tulip tulips plant sprout",
    ),
    "flower": ("a flower", "flower flowers rose roses sunflower tulip tulips"),
    "body_part": (
        "a part of the body",
        "hand hands arm arms leg legs knee foot feet eyes eye nose ear ears face cheek"
        " cheeks hair head tummy finger fingers tooth toes mouth heart tears",
    ),
    # qualities
    "colour": (
        "a colour",
        "red blue green yellow purple pink white black brown golden silver colorful",
    ),
    "size_big": ("large", "big large huge giant tall long bigger enormous"),
    "size_small": ("small", "little small tiny short"),
    "feeling_happy": (
        "joy",
        "happy glad joyful cheerful happily excited delighted merry joy happiness",
    ),
    "feeling_sad": ("sorrow", "sad unhappy lonely upset sadly miserable"),
    "feeling_scared": ("fear", "scared afraid frightened worried nervous scary"),
    "feeling_angry": ("anger", "angry mad cross grumpy jealous"),
    "feeling_surprised": ("surprise", "surprised amazed"),
    "feeling_proud": ("pride", "proud"),
    "feeling_tired": ("tiredness", "tired sleepy"),
    "feeling_hungry": ("hunger and thirst", "hungry thirsty"),
    "feeling_sorry": ("regret", "sorry ashamed guilty"),
    "trait": (
        "what a person is like",
        "kind curious brave gentle clever quiet busy funny shy playful helpful patient"
        " honest careful polite selfish lazy smart generous",
    ),
    "beauty": ("looks", "beautiful pretty lovely shiny bright sparkly"),
    "good": ("praise", "good great best nice wonderful special favorite perfect fun"),
    "bad": ("blame and trouble", "bad wrong terrible mean problem trouble mistake"),
    "old_new": ("age", "old new young"),
    "touch": ("how a thing feels", "soft hard smooth wet dry sticky muddy warm"),
    "cold": ("cold", "cold ice frozen chilly freezing cool"),
    "fast_slow": ("speed", "fast quickly slow slowly quick faster fastest slower"),
    "loud": ("a sound", "loud loudly noise crash bang sound splash pop"),
    "broken": ("damage", "broken torn cracked ruined stuck lost missing"),
    "brave_act": ("courage", "brave bravely courage bravest"),
    # weather, sky, time
    "weather": (
        "any weather",
        "weather sunny rainy windy snowy cloudy stormy rain rained raining rainbow sun"
        " sunshine snow snowed wind storm thunder lightning cloud clouds breeze fog"
        " foggy puddle puddles snowman snowflakes",
    ),
    "rain": ("rain", "rain rained raining rainy puddle puddles rainbow umbrella"),
    "sun": ("sunshine", "sun sunny sunshine shining shone"),
    "snow": ("snow", "snow snowed snowy snowman snowflakes"),
    "wind": ("wind", "wind windy breeze blew blowing"),
    "storm": ("a storm", "storm stormy thunder lightning"),
    "sky": ("the sky and what is in it", "sky moon star stars cloud clouds rainbow"),
    "water": ("water", "water river lake pond sea waves stream puddle puddles splash"),
    "time_of_day": (
        "a part of the day",
        "morning afternoon evening night bedtime noon tonight midnight",
    ),
    "time_span": (
        "a length of time",
        "time day days week weeks hour hours minute minutes moment year years while",
    ),
    "today": ("a day by its distance", "today tomorrow yesterday"),
    "season": ("a season", "spring summer autumn winter"),
    "birthday": ("a feast", "birthday party balloons candles"),
    "number": (
        "a number",
        "one two three four five six seven eight nine ten first second third",
    ),
    "quantity": ("how much", "many all some more every lots few much enough most"),
    # places
    "place": (
        "any place",
        "park garden forest beach field meadow playground farm hill river lake pond"
        " shop school library market bakery museum zoo house home room kitchen yard"
        " attic town village street road woods fair barn bridge path cave castle",
    ),
    "nature_place": (
        "a place outdoors",
        "park garden forest beach field meadow hill river lake pond woods cave sea",
    ),
    "town_place": (
        "a place in town",
        "shop school library market bakery museum zoo town village street fair",
    ),
    "home_place": (
        "a place at home",
        "house home room kitchen yard attic bed bathroom",
    ),
    # doing
    "speech_verb": (
        "speaking",
        "said asked replied shouted whispered answered called told promised yelled"
        " explained say tell talk talked agreed ask",
    ),
    "laugh_verb": ("laughing", "laughed giggled smiled grinned smile laugh cheered"),
    "cry_verb": ("crying", "cried crying cry sobbed tears"),
    "motion_verb": (
        "moving",
        "ran walked went jumped climbed hurried flew rode marched came run walk go"
        " going swam skipped rushed hopped crawled climb jump fly rolled followed"
        " danced dance swim ride",
    ),
    "see_verb": ("seeing", "saw looked watched noticed see look stared looking watch"),
    "hear_verb": ("hearing", "heard listened hear listen"),
    "find_verb": ("finding and searching", "found searched find searching"),
    "give_verb": ("giving", "gave give shared share sharing brought bring handed"),
    "take_verb": ("taking", "took take picked grabbed held carried pulled hold keep"),
    "want_verb": ("wanting", "wanted wished hoped want wish needed need"),
    "love_verb": ("loving", "loved liked love hugged hug kissed kiss hug"),
    "think_verb": (
        "thinking",
        "thought knew know remembered learned wondered decided think understood idea"
        " plan learn forgot remember believe",
    ),
    "eat_verb": ("eating and drinking", "ate eat drank tasted bite eating drink"),
    "play_verb": ("playing", "played play playing game games"),
    "help_verb": ("helping", "helped help helping saved save rescued"),
    "make_verb": (
        "making",
        "made built painted drew fixed make build painting baked baking fix planted"
        " mixed tied sewed picture drawing",
    ),
    "fall_verb": ("falling and breaking", "fell broke tore spilled dropped tripped"),
    "sleep_verb": ("sleeping", "asleep slept sleep dreamed dreams dream"),
    "try_verb": ("trying", "tried try trying practiced practice"),
    "wait_verb": ("waiting", "waited wait waiting stopped stop"),
    "hide_verb": ("hiding", "hid hide hiding hidden"),
    "throw_verb": ("throwing", "threw throw kicked kick caught catch"),
    "clean_verb": ("cleaning", "cleaned washed clean wash tidy wiped"),
    "win_verb": ("winning and racing", "won win race winner lose"),
    "grow_verb": ("growing", "grew grow growing watered"),
    "live_verb": ("living in a place", "lived stayed stay lives"),
    "name_verb": ("having a name", "named name"),
    "do_verb": ("doing", "did do does done didn't"),
    "feel_verb": ("feeling", "felt feel feels"),
    "posture_verb": ("sitting and standing", "sat sit stood sitting lay"),
    "put_verb": ("putting", "put left"),
    "begin_verb": ("beginning", "began started start"),
    "hurt": ("pain and illness", "hurt hurts sick"),
    "person": ("a grown person", "man woman people someone somebody anyone others"),
    "truth": ("truth and lies", "truth true lie lied real honest joke tricks"),
    "dark": ("darkness", "dark"),
    "direction": ("a direction", "back away ahead nearby far here everywhere high"),
    # small words
    "story_opening": ("how a story opens", "once upon ago"),
    "story_ending": ("how a story ends", "end happily"),
    "infinitive": ("to", "to"),
    "that": ("that and this", "that this"),
    "greeting": ("a greeting", "hello hi goodbye bye"),
    "thanks": ("thanks", "thank thanks thanked welcome"),
    "please": ("please", "please"),
    "yes": ("agreement", "yes okay sure"),
    "negation": (
        "no and not",
        "no not never don't can't didn't couldn't wasn't nothing nobody isn't won't",
    ),
    "question_word": ("a question word", "what why where who how"),
    "cause": ("a reason", "because so"),
    "contrast": ("but", "but"),
    "joining": ("and", "and"),
    "sequence": (
        "order in time",
        "then next finally after before soon later again when until suddenly last",
    ),
    "intensity": ("how strongly", "very too really"),
    "together": ("with others", "together with both everyone everybody"),
    "always": ("how often", "always sometimes often once ever"),
    "article": ("a, an, the", "a an the"),
    "preposition": (
        "where and which way",
        "in on at under behind near into over from by up down out through around"
        " inside across beside above along between off onto outside of"
        " for about past",
    ),
    "be_verb": ("to be", "was were is are be am been"),
    "have_verb": ("to have", "had have has"),
    "modal_verb": ("can and must", "can could would will must should"),
    # marks
    "quote_open": ("the mark that opens speech", ""),
    "quote_close": ("the mark that ends speech", ""),
    "exclamation_mark": ("!", "!"),
    "question_mark": ("?", "?"),
    "full_stop": (".", "."),
    "comma": (",", ","),
}

CONCEPTS: Final[dict[str, str]] = {name: desc for name, (desc, _) in _TABLE.items()}
"""Every concept a word can stand for: name -> one line of description."""

LEXICON: Final[dict[str, frozenset[str]]] = {
    name: frozenset(word.replace("_", " ") for word in words.split())
    for name, (_, words) in _TABLE.items()
} | {"quote_open": frozenset('"'), "quote_close": frozenset('"')}
"""Concept -> the words and phrases that stand for it (names keep their capital)."""


def _invert() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for concept, words in LEXICON.items():
        if not concept.startswith("quote_"):
            for word in words:
                found.setdefault(word, set()).add(concept)
    return {word: frozenset(concepts) for word, concepts in found.items()}


WORD_CONCEPTS: Final[dict[str, frozenset[str]]] = _invert()
"""Word or phrase -> its concepts. Quotes are missing: which one depends on place."""
