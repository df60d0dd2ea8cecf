"""Plots outdoors: lost toys, animals in need, seeds, weather, water."""

from __future__ import annotations

from typing import Final

from tinysae.data.storybook.plot import Plot

OUTDOOR_PLOTS: Final[tuple[Plot, ...]] = (
    Plot(
        "lost_toy",
        "toy",
        """<open> {N} had {a size} {colour} {toy}. [{She} took it everywhere. |It was
            {her} favorite toy.|{She} loved the {toy} very much.]
        <day>, {N} went [to play|for a walk] {in outdoor}. <meet>
        [They ran and jumped|They played hide and seek|They chased {a animal}] until {N}
            was [tired|hungry].
        Then {she} looked [down|around]. The {toy} was [gone|not there]!
        ["Where is my {toy}?" {N} cried.|"I lost my {toy}!" {she} said.] {She} was
            <down>.
        ["Do not worry, {N}," said {F}. "We will find it."|"I will help you look," {F}
            said.]
        They looked [under the {size} tree|behind a bush|in the grass] and [by the
            water|near the path|under a chair].
        [At the end of the path, {F} saw something {colour}.|{F} saw {a animal}. It was
            sitting next to the {toy}!]
        ["Is this your {toy}?" {F} asked.|"Here it is!" {F} shouted.]
        <thank> [<eat>.|<welcome>]
        [In the end, {N!} [held|hugged] the {toy} [tight|and smiled]. |From that day on,
            {N!} [always kept the {toy} close|took good care of the {toy}]. |<learned>
            good friends help you find what you lost.]
        <leave> <close>""",
    ),
    Plot(
        "hurt_animal",
        "animal",
        """<open> <day>, {N} and {her} {adult} [took|went for] a walk {in outdoor}.
        [Near a tree|Under a bush|In the grass], {N} found {a size} {colour} {animal}.
        The {animal} could not move. It had a hurt [leg|foot].
        ["Oh no!" said {N}. "It needs help."|"Poor {animal}," {N} whispered.]
        [Just then, {F}, the [{girl}|child] from next door, came by.|{Her} friend {F}
            [came running|was there too].] ["I will get a blanket," said {F}. |"We must
            be gentle," said {F}.]
        They put the {animal} in {a feel} {container}. [They gave it {foods} and water.
            |{N} gave it water and {F} gave it {foods}.]
        [Every {time}|Every day], {F} came to [see|help] the {animal}.
        [After one week|Soon], the {animal} could [walk|run|jump] again!
        [The {animal} looked at them and went back into the trees.|They took it back and
            said goodbye.] {F} [was sad|cried a little].
        ["It is happy now," said {N}.|"It has a home too," {N} said.]
        [In the end, {N!} [waved|said goodbye] to the {animal}. |From that day on, {N!}
            [helped|was kind to] every animal. |<learned> even a small animal needs
            [love|a friend].]
        <praise> <night>""",
        only={"animal": ("fox", "squirrel", "rabbit", "mouse", "hedgehog", "deer")},
    ),
    Plot(
        "plant_seed",
        "crop",
        """<open> <day>, {her} {adult} gave {N} {a size} seed [in {a colour}
            {container}|]. "What will it be?" asked {N}.
        ["Wait and see," {her} {adult} said.|"You must water it and wait," said {her}
            {adult}.]
        {N} planted the seed {in outdoor}. {Her} friend {F} [helped {obj}|brought
            water].
        [Every {time}|Every day], they watered it. But [nothing grew|nothing happened].
        {N} was <down>. ["It will never grow," {she} said.|"I want to stop," said {N}.]
        ["Be patient, {N}," said {F}.|"Let us wait one more week," said {F}.]
        Then the sun [shone|came out] and [the rain came|it rained]. One day, {F} saw a
            [tiny|little] green leaf!
        [It grew and grew.|The plant grew tall.] Soon there was {a feel} {crop}!
        ["Look, {N}! It is a {crop}!" shouted {F}.|"A {crop}!" {N} shouted. "We did
            it!"]
        [{A animal} came to look.|Even {a animal} came to look at it.]
        [In the end, {N!} gave the {crop} to {her} {adult}. |<learned> good things [grow
            slowly|take time]. |From that day on, {N!} was [more patient|very patient].]
        <praise> <close>""",
        only={"outdoor": ("in+garden", "in+field", "in+yard", "in+park", "on+hill")},
    ),
    Plot(
        "stuck_in_tree",
        "toy",
        """<open> {N} got {a colour} {toy} from {her} {adult}. <day>, {she} took it to
            play {in outdoor}.
        {Her} friend {F} came [along|too]. ["Throw it to me!" said {F}.|"Can I play
            too?" asked {F}. "Yes," said {N}.]
        {N} threw the {toy} [high|very high], and [the wind took it|it flew up and up].
        [Oh no! The {toy}|Suddenly, the {toy}] was stuck in a [tall|big|huge] tree!
        {N} [jumped and jumped|tried to climb], but {she} could not [reach it|get it].
            {She} <cry>.
        [{F} threw {a food} at it.|{F} called {a animal} for help, but it flew away.] It
            did not [help|work].
        ["We need {a tool}," said {N}.|"I know!" said {F}. "Let us get {a tool}."]
        They [ran to get the {tool}|asked {her} {adult} for the {tool}].
        With the {tool}, {F} [pulled the {toy} down|got the {toy} down].
        <thank> <welcome>
        [In the end, {N!} [held|hugged] the {toy} and laughed. |From that day on, {N!}
            [never threw the {toy} near trees |played far from trees]. |<learned> it is
            good to [think|ask for help].]
        <leave> <night>""",
        only={
            "toy": ("kite", "ball", "balloon", "airplane", "hoop", "rocket", "robot")
            + ("doll", "teddy bear", "puppet", "yo-yo", "boat"),
            "animal": ("bird", "owl", "robin", "butterfly"),
            "tool": ("rope", "ladder", "stick", "net"),
        },
    ),
    Plot(
        "the_race",
        "outdoor",
        """<open> <day>, there was a race {in outdoor}. {N} [wanted to win|was very
            fast]. The prize was {a feel} {colour} {treasure}.
        {Her} {adult} said, ["Do your best."|"Have fun, {N}."] {N} put on {her} [{size}
            shoes|{colour} shoes].
        {Her} friend {F} was in the race too. ["Good luck," said {F}.|"I hope you win,"
            said {F}.]
        One, two, three, go! They ran [past the trees|up the road|along the path]. {N}
            was [first|the fastest].
        [Suddenly|Then], {F} [tripped and fell|fell down]. {fHer} {body} was hurt.
            {fShe} <cries>.
        [{N} heard the cry.|{N} looked back.] {She} stopped. [The others ran on. |{She}
            wanted to win, but {F} was {her} friend.]
        ["Take my hand," {N} said.|"I will help you, {F}," said {N}.]
        They walked [slowly|together] to the end. They were last.
        [But everyone [cheered|clapped] for them.|But the {job} gave them both
            {a food}.]
        ["You did not win because of me," said {F}. "I do not mind," said {N}.|]
        [In the end, {N!} [was happy without|did not need] the {treasure}. |<learned> a
            friend is better than a prize. |At last, {N!} [smiled|hugged {F}] and was
            not sad at all.]
        <praise> <night>""",
        only={
            "treasure": ("medal", "cup", "ring", "coin"),
            "body": ("knee", "arm", "hand", "foot", "leg"),
        },
    ),
    Plot(
        "snowman",
        "clothing",
        """<open> One cold {time}, {N} [woke up|looked out of the window] and saw snow.
            The {outdoor} was [all white|white and still].
        {She} put on {a colour} coat and {size} boots and [ran|went] outside.
        {Her} friend {F} [was there|came out too]. ["Let us build a snowman!" said {F}.
            |"Do you want to build a snowman?" asked {F}.]
        They [rolled|made] {a size} ball and then a [big|huge] one. [They used {a crop}
            for the nose.|{F} found {a food} for the nose.]
        [But the snowman looked sad.|"He looks cold," said {N}.]
        {N} gave him {her} {feel} {clothing}. ["Now he is warm," {she} said. |"Now he is
            happy," {she} laughed.]
        <together>
        The next day, {N!} saw that the sun was [shining|hot]. The snowman was gone!
            Only the {clothing} was there.
        {N} was <down>. ["Do not cry," said {F}. "Snow comes back."|"He will come back
            next winter, {N}," said {F}.]
        {Her} {adult} made [warm cocoa|{foods}], and they [sat|smiled] by the window.
        [In the end, {N!} put on the {clothing} and smiled. |At last, {N!} was happy
            again. |<learned> some things go away and come back.]
        <close>""",
        only={
            "weather": ("snowy",),
            "crop": ("carrot", "pumpkin", "tomato"),
            "outdoor": ("in+park", "in+garden", "in+field", "in+yard", "on+hill"),
            "clothing": ("hat", "scarf", "coat", "sweater", "cape", "glove"),
        },
    ),
    Plot(
        "boat_on_water",
        "toy",
        """<open> {N} and {her} {adult} made {a size} {toy} [from wood|from paper]. They
            painted it {colour}.
        <day>, {N} took the {toy} to play {in outdoor}. <meet>
        {N} put the {toy} on the water. [It moved slowly.|"Look, it can swim!" {she}
            said.]
        But then the wind [blew|came], and the {toy} went away, [far and farther |faster
            and faster].
        ["Come back!" {N} shouted.|"My {toy}!" cried {N}.] {She} [ran along the
            water|wanted to jump in].
        ["No, {N}! The water is deep," said {F}.|"Stop! It is too deep," {F} said.]
        [{A animal} sat in the water and looked at the {toy}.|Even {a animal} could not
            stop it.]
        {F} [found {a feel} {tool}|took {a feel} {tool}], and together they pulled [the
            {toy} back|it out of the water].
        The {toy} was [wet|wet and cold], but it was not broken. <thank>
        [<eat>.|They sat in the sun and ate {foods}.|<welcome>]
        [<ever> never went too near the water alone. |In the end, {N!} [dried the {toy}
            with {her} scarf|was safe, and the {toy} was too]. |<learned> it is best to
            think before you jump.]
        <leave>""",
        only={
            "outdoor": ("by+river", "by+lake", "by+pond", "at+beach"),
            "toy": ("boat", "ship"),
            "animal": ("frog", "turtle", "duck"),
            "tool": ("rope", "stick", "net", "branch"),
        },
    ),
    Plot(
        "farm_animal_escapes",
        "farm_animal",
        """<open> <day>, {N} went to the farm with {her} {adult}. The farmer had
            {a size} {colour} {farm_animal} named {pet_name}.
        ["Hello, {pet_name}!" said {N}.|{N} gave {pet_name} {a food}.] [{pet_name} ate
            it all.|{pet_name} made a happy sound.]
        But {N} [forgot to close|did not close] the [door|barn door]. [Soon|Then]
            {pet_name} was gone!
        {N} was <afraid>. ["It was my mistake," {she} said.|{She} told the farmer at
            once. "I am sorry," {she} said.]
        ["We must find {pet_name}," said the farmer.|"Let us look for {pet_name}," said
            {her} {adult}.]
        They looked [behind the barn|in the hay] and [on the road|{in outdoor}].
        [Then {N} heard a sound.|Then {N} saw {a feel} tail.] {pet_name} was [in the
            {crop} garden|under {a size} tree], eating {fruits}!
        {N} held out {a food}. [Slowly|Step by step], {pet_name} came [back|to {obj}].
        ["Good {farm_animal}," {N} whispered.|"Come home, {pet_name}," {she} said.]
        [The farmer laughed.|The farmer thanked {obj}.]
        [From that day on, {N!} always closed the door. |In the end, {N!} hugged
            {pet_name} and said goodbye. |<learned> you must be careful, and honest
            too.]
        <praise> <night_alone>""",
        second="pet_name",
        only={"crop": ("carrot", "pumpkin", "tomato")},
    ),
    Plot(
        "baby_bird",
        "tool",
        """<open> <day>, {N} was [playing|walking] {in outdoor}. [Under a tree|In the
            grass], {she} saw a baby bird.
        The bird [had fallen|fell] from its nest. It [chirped and chirped|was cold and
            scared].
        ["Where is your mom?" asked {N}.|"Poor little bird," {N} said.]
        <meet> {F} had {a colour} {container} [in {fher} hand|with {fobj}].
        ["Do not touch it with your hands," said {F}.|"We need a grown friend," said
            {F}.]
        They ran to get {her} {adult} and {a size} {tool}.
        {Her} {adult} [put the bird in|took] the {container} and climbed up to the nest.
            {F} held the {tool}.
        [The mother bird came back with food.|The mother bird sang {a feel} song.] The
            baby was safe!
        ["We did it!" said {F}.|"Look, it is happy," {F} said.] They ate {foods} under
            the tree and [watched|listened].
        [Every {time}, {F} came to see the birds.|]
        [In the end, {N!} gave the bird a name. |The next day, {N!} heard the birds
            sing. |<learned> [everyone|even a bird] needs a home.]
        <leave> <close>""",
        only={"tool": ("rope", "ladder", "blanket")},
    ),
    Plot(
        "picnic_ants",
        "food",
        """<open> <day>, {N} and {her} {adult} had a picnic {in outdoor}. They had
            {foods} in {a size} {container}.
        {Her} friend {F} came with {a colour} blanket. ["I am so hungry!" said {F}.
            |"This is a nice place," said {F}.]
        [They played with {a toy} first.|First, they ran after {a animal}.] [When they
            came back,|Then they came back, and] the {foods} were [not there|gone]!
        ["Who took our {foods}?" asked {N}.|"You ate them!" {N} said to {F}.]
        [{F} was sad. "I did not do it," {fshe} said.|"It was not me," {F} said sadly.]
        Then they saw a long line of tiny ants. The ants carried [little bits of {food}
            |the last {food}] away.
        {N} was [ashamed|sorry]. ["I am sorry, {F}," {she} said.|"I was wrong. Please be
            my friend," {she} said.]
        ["It is okay," said {F}.|{F} smiled at {obj}.] "[The ants have a picnic too|Ants
            are hungry too]!"
        They laughed and ate {a feel} {fruit} [from the tree|together].
        [From that day on, {N!} [thought before {she} spoke|always asked first]. |In the
            end, {N!} gave the best {fruit} to {F}. |<learned> it is wrong to blame a
            friend.]
        <night> <close>""",
    ),
    Plot(
        "muddy_clothes",
        "clothing",
        """<open> {Her} {adult} gave {N} {a feel} {colour} {clothing}. "Please keep it
            clean," {adult she} said.
        It was {a weather} {time}. {N} met {her} friend {F} {in outdoor}.
        ["Look at that puddle!" said {F}.|"Let us jump in the mud!" said {F}.]
        {N} looked at the {clothing}. [But it was so much fun!|{She} could not wait.]
            Splash! They jumped and jumped [with {a size} frog|like {a animal}].
        Soon the {clothing} was [wet and muddy|brown and wet]. ["Oh no," said {N}.
            |"What will {Adult} say?" {N} asked.] {She} was <afraid>.
        ["We can wash it," said {F}.|"I will help you clean it," {F} said.]
        They washed it [in the river|in a {container}] and [hung it on a tree|dried it
            in the sun]. But [it was still brown|it got smaller]!
        {N} went home and told {her} {adult}. ["I am sorry," {she} said. "I forgot." |"I
            played in the mud," {she} said sadly.]
        {Her} {adult} [laughed|was quiet and then laughed]. "[Next time, wear old
            clothes|Clothes can be washed], my dear."
        [They ate {foods} with {F}.|Then {F} got {a food} too.]
        [In the end, {N!} washed the {clothing} again, and it was clean. |After that,
            {she!} wore old boots in the mud. |<learned> it is best to tell the truth.]
        <night>""",
        only={
            "weather": ("rainy", "cloudy", "foggy", "warm"),
            "clothing": ("hat", "scarf", "coat", "sweater", "dress", "cape"),
        },
    ),
    Plot(
        "treasure_map",
        "treasure",
        """<open> <day>, {N} found an old map [in {a colour} book|under {her} bed|behind
            the door]. There was a red star on it.
        ["It is a treasure map!" {she} said.|"What is this?" {she} wondered.] {She}
            showed it to {her} friend {F}.
        ["Let us find the treasure!" said {F}.|"I will bring {a tool}," said {F}.]
        They walked [past the {town}|over a bridge] and came to a place {in outdoor}.
        [There was {a size} {animal} on the path.|They saw {a size} {animal}.] [It
            looked at them.|{F} was <afraid>, but {N} was brave.]
        They [dug and dug|dug with a shovel] under {a feel} tree. [Bang!|Then there was
            a sound.] It was {a colour} {container}!
        [{N} opened it slowly.|"Open it, {N}!" said {F}.] There was {a treasure} and [a
            letter|a page] in it.
        ["Share it with a friend," said the letter.|"The best treasure is a friend,"
            said the page.] [They looked at each other and laughed.|{F} smiled.]
        [{Her} {adult} was surprised.|They ran to show it to {her} {adult}.]
        [In the end, {N!} gave the {treasure} to {F}. |At last, {N!} [and {F} shared the
            {treasure}|had a real treasure]. |<learned> a friend is the best treasure.]
        <leave> <night>""",
    ),
    Plot(
        "rabbit_in_garden",
        "crop",
        """<open> {N} grew {crops} {in outdoor}. [{She} was proud of them.|{She} watered
            them every {time}.]
        <day>, one {crop} was gone! [The next day, {N!} saw that two were gone.|Somebody
            had taken a bite.] {N} was [angry|mad].
        ["Who ate my {crop}?" {she} shouted.|"I will catch you!" {she} said.]
        {Her} friend {F} came with {a size} {tool}. ["Let us hide and watch," said {F}.
            |"We will wait tonight," said {F}.]
        They hid behind {a colour} [bush|{container}] and waited. [Then they heard a
            sound.|It was dark and quiet.]
        It was {a feel} {animal} with [two|three|four] babies! They were [hungry|thin
            and hungry].
        ["They need food," said {F}.|"The babies are hungry," whispered {F}.] {N} was
            not angry any more.
        {She} gave them {a crop} [and some water|to eat]. [The {animal} was not
            afraid.|The babies ate and ate.]
        ["We can plant more," {N} said.|{Her} {adult} gave them more seeds.]
        [From that day on, {N!} [always left|put] one {crop} for the {animal}. |In the
            end, {N!} had a new friend in the garden. |<learned> it is good to share.]
        <praise> <close>""",
        only={
            "outdoor": ("in+garden", "in+field", "in+yard"),
            "crop": ("carrot/carrots", "pumpkin/pumpkins", "tomato/tomatoes"),
            "animal": ("rabbit", "mouse", "hedgehog", "deer", "squirrel"),
        },
    ),
    Plot(
        "wishing_star",
        "toy",
        """<open> One {weather} night, {N} looked at the sky and saw a star. "I wish for
            {a colour} {toy}," {she} said.
        The next day, {N!} [looked under {her} bed|looked everywhere]. There was no
            {toy}. {She} was <down>.
        {She} went to play {in outdoor} and saw {her} friend {F}. [{F} was crying.|{F}
            sat alone under a tree.]
        ["What is wrong?" asked {N}.|"Why are you sad?" {N} asked.]
        "I lost my {size} {pet}," said {F}. "[It ran away|It is gone]."
        ["I will help you," said {N}.|{N} took {fher} hand. "Let us look," {she} said.]
        They looked [behind the {town}|on the road] and [under a chair|in
            {a container}]. [Then they heard a sound|After a while, {F} saw a tail]. It
            was the {pet}!
        {F} was so <glad>. ["Thank you, {N}! Take my {toy}," {fshe} said. |{fShe} gave
            {N} {a feel} {colour} {toy}. "It is for you," {fshe} said.]
        ["My wish!" laughed {N}.|"That is what I wished for!" {N} said.]
        [At last, {N!} had {a toy}, and a friend too. |In the end, {N!} and {F} played
            with the {toy} together. |<learned> kind deeds make wishes come true.]
        <night> <close>""",
        only={"weather": ("warm", "cold", "windy")},
    ),
)
