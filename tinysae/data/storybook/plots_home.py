"""Plots at home: rainy days, bedtime, baking, tidying, birthdays."""

from __future__ import annotations

from typing import Final

from tinysae.data.storybook.plot import Plot
from tinysae.data.storybook.slots import ANY_WEATHER

HOME_PLOTS: Final[tuple[Plot, ...]] = (
    Plot(
        "rainy_day",
        "toy",
        """<open> [One {time}|One day], it [rained and rained|was raining very hard].
        {N} [looked out of the window|sat by the window] and felt <down>.
        "I [want to go|wanted to play] outside [today|so much]," {she} said.
        {Her} {adult} smiled. ["We can have fun inside too." |"The rain will stop soon,"
            {adult she} said.]
        [Then there was a knock on the door. It was {F}, {her} [best|good] friend!
            |{Her} [little|big] {fsis} {F} came into the room.]
        {F} had {a colour} {toy} [under {fher} arm|in a {container}|in {fher} bag].
        ["Look what I brought!" said {F}.|"Do you want to play with my {toy}?" asked
            {F}.|"Let us play with the {toy}!" said {F}.]
        {N} [jumped up and down|clapped {her} hands|was so <glad>].
        They played with the {toy} [on the floor|under the table|in the {size} room] and
            [ate {foods}|drank warm milk].
        [When the rain stopped|After a while], they saw a [big|beautiful] rainbow in the
            sky.
        [In the end, {N!} was not [sad|upset] about the rain at all. |After that, {she!}
            [liked|loved] rainy days [very much|too]. |<learned> a rainy day can be
            [fun|wonderful] too.]
        <night> <close>""",
        only={"weather": ("rainy",)},
    ),
    Plot(
        "broken_bowl",
        "container",
        """<open> <day>, {N} was playing with {a toy} [in the kitchen|in the house].
        {Her} {adult} had {a feel} {colour} {container} on the [table|shelf].
        {Her} [little|big] {fsis} {F} was [there|playing] too.
        ["Be careful," {F} said.|"Do not run in the house," said {F}.]
        But {N} [did not listen|ran too fast|was not careful].
        [Crash!|Bang!] The {container} fell [down|on the floor] and broke.
        {N} was <afraid>. [{She} wanted to hide the {container}.|{She} <cry>.]
        ["You must tell {Adult}," said {F}.|"What will we do?" asked {F}. |"Tell the
            truth," {F} whispered.]
        So {N} went to {her} {adult}. "I am sorry. I broke your {container}," {she}
            said.
        [{Her} {adult} was not angry.|{Her} {adult} looked at {obj} and smiled.]
        "Thank you for telling me. [You are very honest|You are so brave]."
        [They fixed the {container} with glue.|They cleaned the floor together.]
        [In the end, {N!} was [glad|happy] that {she} told the truth. |<learned> it is
            [good|best] to be honest. |<ever> always told the truth.]
        <night>""",
        only={"container": ("box", "jar", "bowl", "cup", "lamp", "bucket")}
        | {"weather": ANY_WEATHER},
    ),
    Plot(
        "noise_at_night",
        "pet",
        """<open> One {weather} night, {N} [was in bed with {her} {toy} |could not
            sleep|lay in {her} {size} bed].
        [Suddenly|Then], {she} heard a [loud|strange|scary] noise [behind|under] the
            [door|table|bed].
        "What is that?" {she} whispered. {She} was <afraid>.
        {Her} [little|big] {fsis} {F} [woke up too|sat up in bed].
        ["I heard it too," said {F}.|"Is it a monster?" asked {F}.]
        [{N} took {a colour} lamp.|{N} held {F} by the hand.]
        They walked [slowly|very slowly] [to the door|across the room].
        [{N} opened the door|{N} looked down]. It was only {a size} {colour} {pet}!
        [The {pet} was looking for {foods}.|The {pet} was playing with a {container}.]
        ["You are so silly," {N} laughed.|"It is only a {pet}!" laughed {F}.]
        [They both laughed|{N} and {F} laughed] and [hugged the {pet} |gave the {pet}
            some milk].
        {Her} {adult} came in. "[Time to sleep|Go to sleep now]," {adult she} said.
        [At last, {N!} fell asleep with the {pet} [in {her} arms|by {her} side]. |In the
            end, {N!} was not [scared|afraid] any more. |After that, {she!} was
            [never|not] afraid of the dark [again|any more].]
        [<learned> there is nothing to be afraid of.|] <close>""",
        only={"weather": ("rainy", "windy", "cloudy", "warm", "cold", "stormy")},
    ),
    Plot(
        "birthday_cake",
        "baked",
        """<open> It was the birthday of {her} {adult}, and {N} wanted to make [a
            surprise|something special].
        "I will [bake|make] {bakeds}," {she} [said|thought].
        {She} [asked {her} friend {F}|called {her} [little|big] {fsis} {F}] to help.
        [They mixed milk and honey in {a colour} bowl. |They put on {colour} hats and
            mixed everything in {a size} bowl.]
        ["Can I taste it?" asked {F}.|"This is fun!" said {F}.]
        [But|Oh no!] {N} [forgot the {bakeds}|did not watch the time], and soon there
            was [a bad smell|black smoke] [in the kitchen|everywhere].
        The {bakeds} were [black|ruined]! {N} <cry>.
        "[Do not cry|Do not be sad], {N}," said {F}. "We can [try|bake] again."
        So they [tried again|baked again]. This time, {N} [watched and waited |was very
            careful|stayed in the kitchen].
        [Soon|In one hour], the {bakeds} were [golden|warm and soft|perfect].
        {Her} {adult} [ate one {baked}|took a bite] and smiled. ["This is the best
            {baked} ever!"|"I love it," {adult she} said.]
        [At last, {N!} [was proud|felt very proud]. |<learned> you must try again when
            things go wrong. |In the end, {N!} [hugged|thanked] {F} and they ate
            {bakeds} together.]
        <night>""",
    ),
    Plot(
        "messy_room",
        "toy",
        """<open> {N} never liked to [clean|tidy] {her} room. There were toys, books and
            {colour} socks [everywhere|on the floor].
        "Please clean your room," {her} {adult} said. [But {N} did not want to.
            |"Later," said {N}.]
        <day>, {her} friend {F} came over. ["Can we play with your {feel} {toy}?"
            |"Where is your {toy}?"] {F} asked.
        {N} [looked and looked|searched everywhere], but {she} could not find the {toy}.
        It was not [under the bed|in the {container}] and not [behind the door |on the
            shelf]. {N} was <down>.
        ["I will help you clean," said {F}.|"Let us tidy the room," said {F}. "Then we
            will find it."]
        [They picked up the books.|They put the toys into {a size} {container}. |{F}
            washed the socks and {N} picked up the books.]
        Under [the last book|a big coat], there was the {toy}! ["Look, {N}!" {F}
            shouted. |"There it is!" said {N}.]
        [They played with the {toy} all {time}.|<together>]
        [<ever> [cleaned|tidied] {her} room [every day|before bed]. |<learned> a clean
            room is a [happy|good] room. |In the end, {N!} [liked|loved] {her} clean
            room.]
        <praise> <close>""",
        only={"weather": ANY_WEATHER},
    ),
    Plot(
        "practice_music",
        "music",
        """<open> {N} [wanted to play|loved] the {music}. {Her} {adult} gave {obj}
            {a feel} {music} [for {her} birthday|as a present].
        But when {N} played, it [sounded bad|was just noise].
        ["I can't do it," {she} said.|"This is too hard!" {she} cried.]
        {N} put the {music} [in {a colour} {container}|under {her} bed] and felt <down>.
        <day>, {her} friend {F} [came over|heard {obj}]. ["You must practice every day,"
            said {F}.|"Try again, {N}. Slowly," said {F}.]
        So {N} [tried again|practiced] every [{time}|day]. [Week after week, it was a
            little better.|The song grew better and better.]
        Then there was a party [{in town}|{in outdoor}]. [{N} was <afraid>, but {F} held
            {her} hand.|{Her} {adult} and {F} sat in the first row.]
        {N} played {a size} song on the {music}. Everyone [listened|was quiet].
        [The people cheered and danced.|"Wonderful!" everyone shouted.]
        [At last, {N!} [could play|played] the {music} [well|like a bird sings]. |In the
            end, {N!} was [proud|so proud] of the song. |<learned> practice makes hard
            things easy.]
        <praise> <night>""",
        only={"size": ("little", "small", "short", "long")},
    ),
    Plot(
        "storm_night",
        "toy",
        """<open> One {time}, a [big|loud] storm came. The wind [blew and blew |blew
            very hard], and there was thunder [and lightning|in the sky].
        {N} [hid under {a colour} blanket|held {her} {toy} in {her} arms]. {She} was
            <afraid>.
        {Her} [little|big] {fsis} {F} was [afraid|scared] too. ["I do not like storms,"
            said {F}.|"Make it stop," cried {F}.]
        [Then {N} had an idea.|{N} wanted to be brave.] "Let us build {a size} house
            [under the table|with chairs and blankets]," {she} said.
        They took [two|three] chairs, {a colour} blanket and the {toy}.
        {Her} {adult} brought [warm milk|{foods}] and {a feel} lamp.
        [{N} told {F} a story.|{N} sang a song for {F}.] ["The storm can't find us
            here," {she} said.|"Do you feel better?" {she} asked.] {F} [smiled|laughed].
        [Soon|At last] the thunder stopped. [The moon came out|The stars were shining].
        [In the end, {N!} was [brave|not afraid any more]. |From that day on, {N!} was
            never afraid of thunder. |After that, {she!} was not afraid of storms.
            |<learned> it is good to be brave for others.]
        <praise> <close>""",
        only={"time": ("night", "evening"), "weather": ("stormy",)},
    ),
    Plot(
        "birthday_gift",
        "toy",
        """<open> It was the birthday of {her} friend {F}. {N} wanted to give {fobj}
            {a feel} gift, but {she} had no [money|coins].
        [{She} looked in {her} room|{She} sat by the window and thought]. "What can I
            give?" {she} asked {her} {adult}.
        "You can make something," said {her} {adult}. "[A gift you make is the best
            gift|Made with love, it will be special]."
        So {N} took [wood|a {container}], glue and {colour} paint. {She} [worked all
            {time}|worked and worked].
        [It was hard, but {she} did not stop.|{She} made a mistake and tried again.]
        [Soon|The next morning], there was {a size} {toy} on the table.
        At the party, {F} [opened the box|looked at the gift]. ["{A toy}! I love it!"
            {fshe} said.|"Did you make this {toy}, {N}?" {fshe} asked.]
        [{F} showed the {toy} to everyone.|{F} hugged {N} and laughed.]
        [They ate {foods} and cake.|<together>|<eat>.]
        [At last, {N!} felt [proud and happy|very happy]. |<learned> a gift from the
            heart is the best gift. |In the end, {N!} was [happy|glad] that {she} made
            it.]
        <leave> <close>""",
    ),
    Plot(
        "lost_tooth",
        "food",
        """<open> {N} had a loose tooth. It [moved and moved|moved up and down].
        <day>, {she} ate {a food} with {her} [good|best] friend {F} [{in outdoor} |at
            {fher} house|in the yard].
        "Oh!" {N} [cried|shouted]. The tooth [fell out|was gone]!
        ["Did it hurt?" asked {F}.|"You look funny," laughed {F}.] ["Only a little,"
            said {N}.|{N} laughed too.]
        But [the tooth fell in the grass|the tooth rolled away], and {N} could not find
            it. {She} was <down>.
        [They looked under {a size} {colour} chair.|They searched behind {a colour}
            flower.] "[Here it is|I found it]!" {F} shouted.
        {N} put the tooth in {a feel} {container}. <thank>
        {Her} {adult} said, "Put it under your bed tonight."
        That night, {N!} [fell asleep|slept] with the tooth by {her} head.
        The next day, {N!} found {a feel} coin and {a size} {toy}!
        [In the end, {N!} [showed|gave] the {toy} to {F}, and they played. |After that,
            {she!} was not afraid to lose a tooth.]
        <close>""",
    ),
    Plot(
        "new_baby",
        "toy",
        """<open> There was a new baby in the house. The baby's name was {F}.
        Everyone looked at {F}, [and nobody played with {N}|all day long].
        {N} felt [jealous|lonely and sad]. ["Nobody loves me now," {she} said. |{She}
            hid [behind the door|under {her} bed] with {her} {toy}.]
        <day>, {F} <cry>. {Her} {adult} sang, but {F} did not stop.
        [{N} had an idea.|{N} came slowly into the room.] {She} [showed {F} {her}
            {colour} {toy}|made a funny face and held up the {toy}].
        {F} [looked at the {toy}|stopped crying] and [laughed|smiled] [for the first
            time|at {N}].
        ["You are a good {sis}," said {her} {adult}.|"{F} loves you, {N}," said {her}
            {adult}.] [{adult She} gave {N} {a food}.|]
        [Soon {F} fell asleep in {her} arms.|{N} sang {a size} song for {F}.]
        [From that day on, {N!} [helped with|played with] {F} every {time}. |In the end,
            {N!} was not jealous any more. |<learned> love grows when you share it.]
        <praise> <night>""",
    ),
    Plot(
        "sick_friend",
        "food",
        """<open> <day>, {N} went to play with {her} friend {F}. But {F} was [sick|in
            bed and very sick].
        ["I can't play," said {F}. "My [head|tummy] hurts."|{F} had {a colour} scarf and
            a red nose.] {N} was <down> for {fobj}.
        {N} ran home to {her} {adult}. ["How can I help {F}?" {she} asked. |"I want {F}
            to be well," {she} said.]
        "[Warm soup is good|A kind heart is the best help]," said {her} {adult}.
        So they made [soup|tea] and put {foods} in {a size} {container}.
        {N} also brought {a feel} {toy} [and a book|and {a colour} flower].
        {F} [ate the soup|drank the tea] and [smiled|sat up]. [{N} told {fobj} a funny
            story.|{N} read {fobj} a story about {a animal}.]
        ["I feel better now," said {F}.|"You are the best, {N}," said {F}.]
        [The next day, {N!} came again, and {F} was well. |In the end, {N!} and {F}
            played with the {toy} again. |At last, {N!} saw {F} run and laugh again.]
        [<learned> a good friend is there on bad days too.|<ever> was kind to sick
            people.]
        <praise> <close>""",
        only={"weather": ANY_WEATHER},
    ),
    Plot(
        "would_not_sleep",
        "toy",
        """<open> One {weather} evening, {her} {adult} said, "It is bedtime."
        But {N} did not want to [sleep|go to bed]. ["I am not tired," {she} said. |"I
            want to play with my {toy}," {she} said.]
        {She} played with {her} {size} {toy} [under the blanket|in the dark] until late.
        The next day, {N!} was [so tired|very tired and cross].
        {Her} friend {F} came [to play|with {a colour} ball]. [But {N} fell asleep on
            the chair.|But {N} only yawned and was grumpy.]
        ["Wake up, {N}!" said {F}.|"Are you sick?" asked {F}.] ["I am too tired to
            play," said {N}.|"Leave me alone," said {N}.]
        {F} went home and ate {foods} [{in town}|with {fher} {fsis}]. {N} was <down>.
        {Her} {adult} hugged {obj}. "[Sleep makes you strong|When we sleep, we can play
            again], you see."
        That night, {N!} put the {feel} {toy} on the shelf and [went to bed early|closed
            {her} eyes].
        [After that, {she!} always went to bed on time. |In the end, {N!} played with
            {F} [all day|in the sun] and was not tired. |<learned> sleep is a good
            thing.]
        <close>""",
    ),
    Plot(
        "toy_shelf",
        "tool",
        """<open> {N} had {a feel} {toy}, but it stood on a [very tall|high] shelf.
        {N} was too [small|short]. [{She} jumped and jumped.|{She} stood on a book and
            fell down.] It was no good.
        <day>, {her} friend {F} [came to play|came over]. ["I have an idea," said {F}.
            |"Let us think," said {F}.]
        [{F} found {a size} {colour} {tool} [in the {container}|behind the door]. |They
            looked in the yard and found {a colour} {tool}.]
        ["We must be careful," said {N}.|"Hold it well," {N} said.] {F} held the {tool},
            and {N} [climbed|pulled].
        [Suddenly|Oh no!] The {toy} [fell|came down] [fast|with a loud noise], and {F}
            caught it [in {fher} arms|with both hands]!
        ["You did it!" shouted {N}.|<thank>]
        {Her} {adult} came in. "Next time, please ask me for help," {adult she} said.
            [They all laughed.|<eat>.]
        [At last, {N!} could play with the {toy}. |In the end, {N!} and {F} played with
            the {toy} all {time}. |<learned> two friends can do more than one.]
        <night>""",
        only={"tool": ("rope", "ladder", "stick", "net", "umbrella")}
        | {"weather": ANY_WEATHER},
    ),
)
