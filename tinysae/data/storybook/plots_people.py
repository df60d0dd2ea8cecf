"""Plots among people: sharing, honesty, school, shops, work."""

from __future__ import annotations

from typing import Final

from tinysae.data.storybook.plot import Plot

PEOPLE_PLOTS: Final[tuple[Plot, ...]] = (
    Plot(
        "share_food",
        "food",
        """<open> <day>, {her} {adult} gave {N} {a size} {colour} {container} full of
            {foods}.
        {N} went to sit {in outdoor}. [The {foods} looked so good!|{She} was very
            hungry.]
        <meet> {F} looked at the {foods}. {fShe} was hungry too.
        ["Can I have {a food}?" asked {F}.|"May I eat one, please?" {F} asked.]
        ["No," said {N}. "They are mine."|{N} held the {container} tight. "No!" {she}
            said.] {F} [walked away|went away] [sadly|with tears in {fher} eyes].
        {N} ate one {food}. [But it did not taste good.|But {she} felt lonely.] {She}
            thought about {F}.
        [Then {a animal} came and gave its food to its baby.|{She} saw {a animal} share
            with its baby.] {N} [understood|knew what to do].
        {She} ran to {F}. "I am sorry," {she} said. "[Let us share|Here, this is for
            you]."
        {F} [smiled|was so <glad>]. They ate {foods} and [laughed|talked]. [Now they
            tasted great!|It was {a feel} day.]
        [In the end, {N!} was [happy|glad] to share. |<learned> food tastes better with
            a friend. |From that day on, {N!} always shared {her} {foods}.]
        <leave> <night>""",
    ),
    Plot(
        "new_at_school",
        "toy",
        """<open> <day>, {N} went to school with {a colour} bag. [It was cold and
            wet|The sun shone|All the children were there].
        There was a new {fgirl} in the room. {fHer} name was {F}. {fShe} sat alone and
            looked <down>.
        [Nobody talked to {F}.|"I do not know anyone," {F} whispered.] {N} remembered
            {her} first day at school, when {she} was <afraid> too.
        {N} [walked over|sat down next to {fobj}]. ["Hi, I am {N}," {she} said.|"Do you
            want to be my friend?" {she} asked.]
        {N} had {a size} {toy} in {her} bag. ["We can play with my {toy}," {she}
            said.|"This is my {feel} {toy}. You can hold it," {she} said.]
        {F} [smiled a little|looked up and smiled]. They played {in outdoor} and shared
            {a food}.
        The teacher [was happy|smiled]. "[That was very kind, {N}|You have a good
            heart]," the teacher said.
        [Soon all the children played with {F}.|The other children came to play too.]
        [In the end, {N!} had a new friend. |<learned> one kind word can change a day.
            |From that day on, {N!} sat next to {F} every day.]
        <leave> <night> <close>""",
    ),
    Plot(
        "lost_pet",
        "pet",
        """<open> {N} had {a size} {colour} {pet} named {pet_name}. [{pet_name} slept on
            {her} bed.|They did everything together.]
        <day>, {N} called, but {pet_name} [did not come|was not there].
        ["Where are you, {pet_name}?" {she} shouted.|"I can't find {pet_name}!" {she}
            told {her} {adult}.] {N} was <afraid>.
        {She} looked [under the bed|in the {container}]. No {pet_name}. {She} looked
            {in outdoor}. No {pet_name}.
        [{She} asked the {job}. "I have not seen {pet_name}," {job she} said.|{She}
            asked at the {town}, but nobody knew.]
        [It grew dark, and {N} <cry>.|{N} sat down and <cry>.]
        Then {her} {adult} had an idea. "What does {pet_name} like best?" ["{Foods}!"
            |"It likes {foods}!"] said {N}.
        They put {a food} [by the door|on the grass] and waited. [Soon|After one
            minute], they heard a sound. {pet_name} came out of {a feel} box!
        ["I missed you, {pet_name}!" {N} said.|"You were here all the time!" laughed
            {N}.]
        [In the end, {N!} held {pet_name} in {her} arms. |At last, {N!} could smile
            again. |From that day on, {N!} never left {pet_name} alone for long.]
        <night_alone> <close>""",
        second="pet_name",
    ),
    Plot(
        "zoo_visit",
        "zoo_animal",
        """<open> <day>, {N} went to the zoo with {her} {adult}. {Her} friend {F} came
            too.
        They saw [a funny penguin|many birds] and {a size} {zoo_animal}. [The
            {zoo_animal} ate {foods}.|The {zoo_animal} was sleeping.]
        ["I want to see it more closely," said {N}.|"It looks at me!" said {N}.] {N}
            climbed on {a colour} [chair|box].
        ["Be careful, {N}!" said {F}.|"You must not climb," said {F}.]
        [Suddenly|Then] {her} {feel} {clothing} fell [down|over the wall]! The
            {zoo_animal} picked it up.
        ["Oh no, my {clothing}!" cried {N}.|{N} <cry>.] [Everybody looked.|{F} laughed,
            but then stopped.]
        {Her} {adult} asked [a man|a woman] of the zoo for help. [They gave the
            {zoo_animal} {a fruit}.|"It loves {fruits}," they heard.]
        The {zoo_animal} took the {fruit} and [gave back|dropped] the {clothing}!
        ["It only wanted to play," said {F}.|"It is your friend now," said {F}.]
        [In the end, {N!} waved to the {zoo_animal}. |After that, {she!} never climbed
            at the zoo again. |<learned> it is good to be careful.]
        <leave> <night> <close>""",
        only={"clothing": ("hat", "scarf", "glove", "shoe")},
    ),
    Plot(
        "would_not_share",
        "toy",
        """<open> {N} had {a feel} {colour} {toy}. <day>, {she} took it to play
            {in outdoor}.
        <meet> ["Can I play with your {toy}?" asked {F}.|"What a nice {toy}!" said {F}.
            "Can I try it?"]
        ["No! It is my {toy}," said {N}.|"Go away," said {N}. "It is only for me."]
        {F} was <down>. {fShe} went to play with [{a size} {animal}|the other children].
        {N} played alone. [Soon|After a while] it was [not fun|boring]. [The others
            laughed and ran.|{She} heard the others laugh.]
        {N} felt [lonely|sad]. "I was [mean|selfish]," {she} thought.
        {She} walked to {F}. ["I am sorry. Do you want to play with my {toy}?" {she}
            asked.|"Please take the {toy}," {she} said. "We can take turns."]
        ["Yes! Thank you, {N}," said {F}.|{F} was <glad>. "I forgive you," {fshe} said.]
        <together> [<eat>.|]
        [In the end, {N!} was happy that {she} shared. |<learned> toys are more fun when
            you share. |From that day on, {N!} shared {her} {toy} with everyone.]
        <leave> <close>""",
    ),
    Plot(
        "lost_at_market",
        "town",
        """<open> <day>, {N} went {in town} with {her} {adult}. There were
            [many people|a lot of people].
        {N} saw {a size} {colour} {toy} [in a window|on a table] and [stopped|looked at
            it for a long time].
        When {she} looked up, {her} {adult} was gone! {N} was <afraid>. {She} <cry>.
        A {fgirl} named {F} saw {obj}. ["Are you lost?" asked {F}.|"Why are you crying?"
            {F} asked.]
        "I can't find my {adult}," said {N}. ["Stay here with me," said {F}. "We will
            find help."|"My dad works here," said {F}. "He will help."]
        {F} gave {obj} {a food} and held {her} hand. They asked the {job}. [The {job}
            called loudly.|The {job} was very kind.]
        [Soon|Then] {her} {adult} came running [with {a feel} {clothing}|]. [They hugged
            for a long time.|"I looked for you everywhere!"]
        ["Thank you, {F}," {N} said.|<thank>]
        [In the end, {N!} was safe and happy. |From that day on, {N!} [always held {her}
            {adult}'s hand|stayed close to {her} {adult}]. |<learned> when you are lost,
            stay and ask for help.]
        <night> <close>""",
        only={"town": ("at+market", "at+museum", "at+zoo", "at+fair", "at+shop")},
    ),
    Plot(
        "torn_book",
        "animal",
        """<open> <day>, {N} went to the library with {her} {adult}. {She} took home
            {a colour} book about {a size} {animal}.
        "Please keep the book clean," said the librarian. ["I will," said {N}.|{N}
            promised it.]
        {Her} friend {F} came over to [see|read] the book. ["I want to read it first!"
            said {F}.|"Give it to me!" {F} said.]
        They both pulled. Oh no! The page with the {animal} was torn.
        {N} was [angry|mad], and {F} <cries>. ["It was you!" said {N}.|"Look what you
            did!" {N} shouted.]
        [Then {N} was quiet.|{N} looked at {F} and was sorry.] "We both pulled," {she}
            said. "[We can fix it|Let us fix it together]."
        They found glue in {a container} and fixed the page [slowly|with care]. [It
            looked {feel} again.|One could see it, but it was whole.]
        They took the book back and told the truth. [The librarian smiled.|"Thank you
            for telling me," said the librarian.]
        [{She} gave them a book about {a pet}.|<eat>.]
        [In the end, {N!} and {F} read a new book together. |<learned> it is better to
            fix things than to fight. |After that, {she!} took good care of every book.]
        <leave> <night>""",
    ),
    Plot(
        "hide_and_seek",
        "hiding",
        """<open> <day>, {N} and {her} friend {F} played hide and seek [at home|in the
            {size} house|in the yard].
        ["You count first," said {N}.|"I will hide," said {N}. "You must find me!"] {F}
            closed {fher} eyes and counted to ten.
        {N} hid {in hiding}. [It was dark and quiet.|{She} was as quiet as {a animal}.]
            {She} had {her} {colour} {toy} with {obj}.
        {F} looked [behind the door|in {a container}] and [on the stairs|under the
            blanket]. ["Where are you, {N}?" {F} called.|"I can't find you!" said {F}.]
        {N} waited and waited. [Soon {she} was tired.|It was warm there.] {She} fell
            asleep!
        {F} was <afraid>. {fShe} called {her} {adult}. They looked everywhere. [Then
            they heard a sound.|Then they saw {a feel} shoe.]
        ["Here {she} is!" said {F}.|"I found you!" shouted {F}.] {N} was sleeping
            {in hiding}!
        {N} [opened {her} eyes|woke up]. ["Did I win?" {she} asked.|"Is it morning?"
            {she} asked.] They all laughed and ate {foods}.
        [In the end, {N!} won the game. |After that, {she!} never fell asleep in a game
            again. |The next day, {N!} let {F} hide first.]
        <night> <close>""",
    ),
    Plot(
        "at_the_doctor",
        "body",
        """<open> <day>, {N} rode {her} {colour} [bike|scooter] {in outdoor}. {She} went
            too fast.
        [Crash!|Bang!] {N} fell and hurt {her} {body}. {She} <cry>.
        {Her} friend {F} ran to {obj}. ["Do not move," said {F}.|"I will get help," said
            {F}.] {F} brought {her} {adult} [and {a feel} blanket|at once].
        They went to the doctor. {N} was <afraid>. ["Will it hurt?" {she} asked.|"I want
            to go home," {she} said.]
        ["Only a little," said the doctor.|"You are very brave," the doctor said.] {F}
            held {her} {size} {toy} [up|in front of {obj}] and made a funny face.
        {N} laughed. The doctor put {a colour} bandage on the {body}. [It did not
            hurt!|It was over so fast!]
        The doctor gave them {foods}. ["You are a good friend," the doctor said to
            {F}.|"Thank you for your help," {N} said to {F}.]
        [In the end, {N!} was not afraid of the doctor any more. |From that day on, {N!}
            rode slowly and carefully. |<learned> a friend makes you brave.]
        <praise> <night>""",
        only={"body": ("knee", "arm", "hand", "foot", "finger", "leg")},
    ),
    Plot(
        "selling_treats",
        "baked",
        """<open> {N} wanted to buy {a feel} {toy} at the shop. But {she} had no
            [money|coins].
        ["I can sell {bakeds}!" {she} thought.|"How can I get some coins?" {she} asked
            {her} {adult}. "Sell {bakeds}," {adult she} said.]
        <day>, {N} put {a colour} table [on the street|{in outdoor}]. {Her} friend {F}
            came to help.
        ["{Bakeds}! Good {bakeds}!" shouted {F}.|"Who wants {a baked}?" called {F}.]
            [Many people came.|The {job} took three.]
        Soon {N} had ten coins in {a size} {container}. [{She} was so <glad>.|"Now I can
            buy the {toy}!" {she} said.]
        Then {she} saw an old man. He [was hungry|looked cold and sad]. He had no coins.
        {N} [looked at the coins|thought about the {toy}]. [{She} gave him the last
            {baked}.|"Please take {a baked}," {she} said.] {F} gave him [warm tea|milk].
        ["You have a kind heart," said the man.|The man smiled. "Thank you, {N}," he
            said.]
        The man made toys! He gave {N} {a feel} {toy} [the next week|from his bag].
        [In the end, {N!} had the {toy} and a new friend. |<learned> kindness comes back
            to you. |At last, {N!} held the {toy} in {her} hands.]
        <leave> <night>""",
    ),
    Plot(
        "learn_to_ride",
        "toy",
        """<open> {N} got {a feel} {colour} {toy} from {her} {adult}. {She} wanted to
            ride it [like {her} friend {F}|].
        <day>, {N} took the {toy} {in outdoor}. {Her} friend {F} was there. [{F} could
            ride very fast.|{F} was good at it.]
        {N} tried. [Bang!|Crash!] {She} fell [down|on {her} {body}]. {She} tried again
            and fell again.
        ["I can't do it!" {she} cried.|"I will never learn," {she} said.] {She} threw
            the {toy} [down|into {a size} bush].
        ["I fell many times too," said {F}.|"You must try ten times, {N}," said {F}.]
            ["Look ahead, not down."|"I will hold you," {fshe} said.]
        {N} [wiped {her} tears|stood up]. {She} tried once more. [{F} ran beside
            {obj}.|{F} held {her} hand.]
        [Then {F} let go.|Slowly, {F} let go.] {N} rode all by {herself} [past the
            {animal}|around the tree]!
        ["I can do it!" {N} shouted.|"Look at me, {F}!" shouted {N}.]
        [They rode until it was dark.|<eat>.]
        [At last, {N!} could ride the {toy}. |<learned> you must not give up. |From that
            day on, {N!} rode the {toy} every {time}.]
        <praise> <night>""",
        only={
            "toy": ("bike", "scooter", "skateboard"),
            "body": ("knee", "arm", "hand"),
        },
    ),
    Plot(
        "jealous_friend",
        "toy",
        """<open> <day>, {her} friend {F} came with {a feel} {colour} {toy}. It was a
            gift from {fher} {adult}.
        ["Look at my new {toy}!" said {F}.|"Do you like my {toy}?" asked {F}.]
        {N} was [jealous|so jealous]. {She} had only {a size} old ball. ["I do not like
            it," {she} said.|"My ball is better," said {N}.]
        {F} was <down>. [{fShe} went home.|{fShe} went to sit alone {in outdoor}.]
        {N} felt bad [all {time}|and could not eat {her} {food}]. ["Why was I so mean?"
            {she} asked {her} {adult}.|{She} told {her} {adult} what happened.]
        "Be happy for your friend," {her} {adult} said. "[Then you are happy too|Joy is
            bigger when we share it]."
        {N} took {foods} in {a container} and ran to {F}. ["I am sorry. Your {toy} is
            great," {she} said.|"I was jealous. I am sorry," said {N}.]
        ["It is okay," said {F}. "Do you want to try it?"|{F} hugged {obj}. "Let us
            play," {fshe} said.]
        <together>
        [In the end, {N!} was happy for {F}. |<learned> a friend's joy is your joy too.
            |From that day on, {N!} was never jealous of {F} again.]
        <leave> <close>""",
    ),
    Plot(
        "false_alarm",
        "animal",
        """<open> {N} liked to play tricks. <day>, {she} ran {in outdoor} and shouted,
            "Help! {A animal} wants to eat me!"
        {Her} friend {F} came running with {a size} {tool}. [But there was no
            {animal}.|{F} looked everywhere.] {N} laughed and laughed.
        ["It was only a joke," {she} said.|"I tricked you!" said {N}.] {F} was
            [angry|not happy]. "[That is not funny|Do not lie]," {fshe} said.
        The next day, {N!} did it again. {Her} {adult} came with {a colour} {container},
            and {N} laughed again.
        Then a real {animal} came! It was [big and brown|very big|angry]. ["Help!
            {A animal}!" {N} shouted.|{N} <cry> and called for help.]
        [But nobody came.|"It is a joke again," said the {job}.] The {animal} ate {her}
            {feel} {foods} and went away.
        {N} went home. {She} was [ashamed|sorry]. ["Why did nobody come?" {she}
            asked.|"The {animal} was real," {she} said.]
        ["You lied to us," said {F}. "So we did not know."|"Nobody believed you," {F}
            said.]
        ["I am sorry, {F}," said {N}.|{N} hugged {F} and said sorry.]
        [From that day on, {N!} never lied again. |<learned> it is wrong to lie. |After
            that, {she!} always told the truth.]
        <night> <close>""",
        only={"animal": ("bear", "fox", "wolf", "lion")},
    ),
    Plot(
        "painting_day",
        "colour",
        """<open> <day>, {N} wanted to paint {a size} picture for {her} {adult}. {She}
            had {colour} paint and {a feel} brush.
        {Her} friend {F} [came over|wanted to paint too]. ["Paint {a animal}!" said
            {F}.|"What will you paint?" asked {F}.]
        {N} painted {a animal} {in outdoor}. [It looked so real.|It took all {time}.]
        Then {F} [ran past the table|was not careful], and the {colour} paint spilled on
            the picture!
        ["My picture is ruined!" cried {N}.|"Oh no! Look what you did!" said {N}.] {F}
            was [sorry|afraid].
        ["I am so sorry, {N}," said {F}.|"I did not want to do that," {F} whispered.]
        {N} was [angry|mad] at first. Then {she} looked again. [The spot looked like
            {a fruit}.|"It looks like {a toy}!" {she} said.]
        They painted [more and more|together]. {F} made {a fruit} and {N} made the sun.
            It was better than before!
        {Her} {adult} [put it on the wall|loved it]. "[I have never seen such a
            picture|This is so beautiful]!"
        [In the end, {N!} thanked {F} for the mistake. |<learned> a mistake can be a
            gift. |At last, {N!} laughed and was not angry any more.]
        <leave> <night> <close>""",
    ),
    Plot(
        "lost_ring",
        "treasure",
        """<open> <day>, {N} walked home from {town}. [On the road|In the grass], {she}
            found {a feel} {treasure}.
        ["I can keep it!" {she} thought.|"How pretty!" {she} said.] {She} put it in
            {her} {colour} {container}.
        <meet> ["What do you have?" asked {F}.|{N} showed it to {F}.]
        ["Maybe someone lost it," said {F}.|"It is not ours," said {F}. "Someone is sad
            now."] {N} [was quiet|thought about it].
        They asked at the {town}. [They asked everyone.|Nobody knew.] Then they saw the
            {job}. {job She} looked <down>.
        ["I lost my {treasure}," {job she} said.|"Did you see {a treasure}?" {job she}
            asked.] "It was from my {adult}."
        {N} [wanted to keep it, but|took it out, and] {she} gave it back. ["Here it is,"
            {she} said.|"I found it," said {N}.]
        The {job} [was so <glad>|cried with joy] and gave them {foods} and {a size}
            {toy}.
        ["We did the right thing," said {F}.|"You are honest, {N}," said {F}.]
        [In the end, {N!} felt better than with the {treasure}. |<learned> it is good to
            give back what is not yours. |From that day on, {N!} was always honest.]
        <night> <close>""",
        only={"town": ("in+school", "in+town", "at+market", "at+bakery", "at+library")},
    ),
)
