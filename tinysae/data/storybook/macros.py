"""Wordings that many plots share: openings, meetings, homecomings, cues."""

from __future__ import annotations

from typing import Final

# Only the protagonist ever follows
# "In the end,", "At last,", "That night,", "From that day on,", "The next day,",
# "Later that day,", "When it was time to go home," (by name) or "After that,",
# "Now", "Before bed,", "On the way home,", "Deep inside,", (by pronoun).
MACROS: Final[dict[str, str]] = {
    "open": """
        [Once upon a time, there [was|lived] a
            [{trait}|little|{trait} little|{trait} young] {girl} [named|called] {N}.
        |There [once was|was once] a [{trait}|little|{trait} little] {girl}
            [named|called] {N}.
        |Once there was a {girl} named {N} [who was very {trait}|and {she} was {trait}].
        |In a {size} house [by|near] the {outdoor} lived a
            [{trait}|little|{trait} little] {girl} [named|called] {N}.
        |Long ago, a [{trait}|little|{trait} little] {girl} [named|called] {N} lived
            [near|by] the {outdoor}.]
        [{She} [lived|stayed] with {her} {adult} in a [{size}|{colour}] house.
        |{She} loved to [play outside|laugh|sing songs|help {her} {adult}|hear stories].
        |[Everyone|Everybody] [liked|loved] {N} because {she} was so {trait}.
        |{She} had {colour} [shoes|boots|socks] and a [big|happy|warm] smile.
        |{Her} {adult} had {a size} {farm_animal} [and some bees|].
        |There were {colour} [flowers|roses|tulips] [near|around] the house.
        |{She} [always had a smile on {her} face|liked to ask many questions].]
        """,
    "day": """[One {weather} {time}|On a {weather} {time}|One {weather} day
        |One {weather} {season} {time}|On a {weather} {season} day]""",
    "meet": """
        [[Soon|Then|Just then], {her} friend {F} came [along|by|to play|over].
        |{Her} [good|best] friend {F} was [there|with {obj}] too.
        |A {fgirl} named {F} [was there too|came over|was sitting nearby].
        |{Her} [little|big] {fsis} {F} [came along|was with {obj}|ran over].
        |{Her} friend {F} came [along|by]. ["Hello, {N}!"|"Hi, {N}!"] {fshe} said.]
        """,
    "said": "[said|said|said|asked|called|whispered]",
    "cry": """[began to cry|started to cry|wanted to cry|had tears in {her} eyes]""",
    "cries": """[began to cry|started to cry|had tears in {fher} eyes]""",
    "glad": "[happy|glad|excited|delighted|joyful]",
    "down": "[sad|upset|unhappy|very sad|so sad]",
    "afraid": "[scared|afraid|frightened|a little scared|very scared]",
    "eat": """They [ate|had|shared] {foods} for [lunch|dinner|a snack|breakfast]""",
    "thank": """
        [["Thank you, {F}!"|"Thank you so much!"|"Thanks, {F}!"] {N} said.
        |{N} [hugged|thanked] {F}. ["You are a good friend," {she} said.
            |"Thank you," {she} said with a smile.]
        |{N} smiled at {F}. "You are the best," {she} said.]
        """,
    "welcome": """
        ["You are welcome," [said {F}|{F} said].
        |{F} [smiled|laughed|grinned]. ["Friends help each other."|"It was fun!"|]|]
        """,
    "together": """
        [They [played|laughed|danced|sang|ran and jumped] together
            [all {time}|until the sun went down|for a long time|for hours].
        |The two of them [played|laughed|danced|sang] together [all {time}|all day].
        |{N} and {F} [played|laughed|danced|sang] [all day|all {time}|together].|]
        """,
    "leave": """
        [When it was time to go home, {N!} [hugged|thanked|waved to|said goodbye to]
            {F}.
        |On the way home, {she!} [sang a [happy|little] song|skipped and laughed
            |could not stop smiling|walked with a big smile].|]
        """,
    "night": """
        [That night, {N!} [told {her} {adult} [all about it|the whole story|about {F}]
            |fell asleep with a [big|happy|little] smile|had [sweet|happy] dreams
            |was [tired but happy|very tired]|slept well
            |dreamed of {a zoo_animal}|counted sheep and fell asleep].
        |Before bed, {she!} [told {her} {adult} [all about it|the whole story]
            |hugged {her} {adult} [tight|and smiled]|looked at the
            [moon|stars] and smiled|thought about {F}
            |gave {her} {adult} a [kiss|hug] and was [sleepy|tired]].
        |Later that day, {N!} [told {her} {adult} [all about it|what had happened]
            |drew a picture of {F}|sat by the window and smiled].]
        """,
    "night_alone": """
        [That night, {N!} [told {her} {adult} [a story|a funny story] about {pet_name}
            |fell asleep with a [big|happy|little] smile
            |dreamed about {pet_name}].
        |Before bed, {she!} [hugged {her} {adult} [tight|and smiled]|looked at the
            [moon|stars] and smiled|thought about {pet_name}].
        |Later that day, {N!} [drew a picture of {pet_name}
            |sat by the window and smiled].]
        """,
    "praise": """
        [{Her} {adult} was [very|so] proud. ["You are a [{trait}|good|kind] {girl},"
            {adult she} said.|"Well done," {adult she} said.|]
        |["I am [so|very] proud of you," {her} {adult} said.
            |"You did the right thing," {her} {adult} said.]
        |{Her} {adult} was [surprised|amazed]. "Is that true?" {adult she} asked.
            "Yes," said {N}.
        |{Her} {adult} [smiled|hugged {obj}|gave {obj} a big hug|kissed {her} cheek].|]
        """,
    "learned": """[In the end, {N!} [learned|knew|understood] that
        |At last, {N!} [learned|knew|understood] that
        |Now {she!} [knew|understood] that
        |Deep inside, {she!} knew that]""",
    "ever": "[From that day on, {N!}|After that, {she!}]",
    "close": """
        [They were [best|good|the best of] friends [ever after|after that].
        |And they [all|both] lived happily ever after.|The end.
        |It was [a very good day|the best day ever|a day to remember].
        |"Today was [the best day|so much fun]," {N} [said|told {her} {adult}].|]
        """,
}
