"""Invented texts of many kinds that are no feeds, and headerless pages of papers that are."""

from __future__ import annotations


def _sections(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


OTHER_TEXTS = {
    "course": _sections(
        "Introduction to the physics of lamps",
        "In this course you learn how lamps work. There are twelve lectures and six exercises, and a written exam at the end. Bring a ruler and a calculator. No special knowledge is needed, but you should like to take things apart. The first lecture is on Monday at ten in the large hall on the second floor.",
        "History of light in northern villages",
        "The seminar looks at letters, bills and maps from three villages. Every participant gives a talk of twenty minutes and hands in an essay. Places are limited to fifteen people. Please register with the secretary before the end of the term, and say which of the three villages you would like to work on.",
        "Repair of old lanterns for beginners",
        "We meet in the workshop every Thursday evening. Tools are provided. You work on a lantern of your own or on one of ours, and may keep what you have repaired. The fee covers oil, wicks and tea. Children from twelve years on are welcome if they come with somebody who is able to carry a ladder up the stairs.",
    ),
    "blog on ML": _sections(
        "Why I stopped tuning my learning rates",
        "Last week I trained the same model forty times. The results were all over the place. Then I fixed the random seed, and the error went away. Here is what I learned: measure your noise first. If two runs of the same experiment differ more than the two methods you compare, your test tells you nothing at all.",
        "Three tricks for faster data loading",
        "Most of the time my GPU waits for data. I tried three things: more workers, a faster disk and smaller images. Only the last one had an effect on the training time. The code is below. If your results are different, write me a mail, because I would really like to know what kind of system you have at home.",
        "A year of running my own benchmark",
        "In January I started a small benchmark for chat models. It has two hundred questions. Every month I test all new models and publish the scores on this page. What have I learned? Prices fall, answers become longer, and nobody reads the errors. Next year I will control for length, as many of you have proposed.",
    ),
    "grant": _sections(
        "What we want to do and why",
        "Lanterns hum, and nobody knows why. We propose to measure the hum of four hundred lanterns in two years. The work is divided into three parts. The first prepares the instruments, the second collects the data, and in the third we analyze the results and write two articles. A museum has promised to lend us its lanterns.",
        "Who will do the work and where",
        "The team consists of one professor, two students and a glass blower. Experiments take place in the old laboratory at the harbor, which is quiet at night. The students are trained by the professor. A control group of lamps without glass is provided by the factory, which also pays for the oil and for transport.",
        "How much money we will need for it",
        "We ask for sixty thousand in all. Two thirds are salaries. Instruments cost ten thousand, travel five. The remainder is for the analysis of the samples in another laboratory. There are no further costs. The budget was checked by the office of the university, and the rates are those that are usual in our country.",
    ),
    "podcast": _sections(
        "Episode twelve: a talk with a lamp maker",
        "Edda has made lamps for fifty years. We talk about fire, glass and patience. She tells us how she learned the trade from a man who did not speak, why she never sold her first lamp, and what she thinks about electric light. At the end she lights a lamp in the studio, and you can hear it hum if you are quiet.",
        "Episode thirteen: moths and other guests",
        "A biologist explains why moths fly to lamps. It has nothing to do with love. We ask what can be done for them, and whether it helps to use red glass. Then a poet reads two poems about moths, one of which is very short. Listeners have sent us their own stories, and we read the three best of them to you.",
        "Episode fourteen: the island without lamps",
        "On one island there are no lamps at all. We went there by boat and stayed for a week. People go to bed early and get up with the birds. Is that a better life? Some say yes, the young ones say no. Our reporter lost his way on the second night and found the harbor only because somebody was frying fish.",
    ),
    "qa site": _sections(
        "How can I compare two lamp models?",
        "I have data of two models and want to know which one is better. The sample is small, about twenty values each. A t-test shows nothing. Is there another method? The answer with most votes: plot the data first. If the distribution is not normal, use a rank test. And measure more lamps, since no test replaces data.",
        "Error when I load the lamp dataset",
        "When I run the example of the tutorial I get an error about a missing function. I use the newest version of the framework. What is the problem? Answer: the function was removed in the last release. Use the new one, which has the same parameters but in another order. The documentation has not been updated yet, sorry.",
        "What is a good baseline for hum prediction?",
        "I want to predict whether a lamp hums. My network has an accuracy of 80 percent. Is this good? Answer: it depends on how many lamps hum in your data. If it is 80 percent, your model learned nothing. Always compare with the trivial baseline, then with a linear model, and only then with a network that is large.",
    ),
    "weekly report": _sections(
        "Progress on the lamp sensor project",
        "This week we tested the second sensor. The results are better than those of the first, but the signal is weak when it rains. Bo wrote a function that corrects the error. Next week we compare both sensors with the reference. There is a problem with the order of the cables, which has not been delivered yet by the firm.",
        "Progress on the data storage system",
        "The storage is now full every three days. We deleted old samples and asked for a larger disk. The network was slow on Tuesday because of an update. Ada evaluated two new systems and proposes to buy the smaller one, as its performance is the same. A decision is expected at the meeting of the group on Thursday.",
        "Progress on hiring and open tasks",
        "Two people have applied. Both were asked to do a small task at home, and one did it well. We present the candidates to the committee in April. Open tasks: repair the door, write the safety test for students, and clean the oil room. Everybody should estimate how many hours they will need until the end of the year.",
    ),
    "lab notes": _sections(
        "Calibrating the small lamp again", "We measured the small lamp twice today. The first result was 4.1 and "
        "the second one 4.3, which is a worse error than last week. Bo thinks that the sensor was cold. We put it "
        "on the stove for a while and will test it again tomorrow, with the door shut and with nobody walking.",
        "Cleaning the glass of lamp three", "The glass was black on one side. Ada washed it with vinegar, and then "
        "with water. It took most of the afternoon, and nothing else was done before supper. The wick is short now "
        "and must be changed. There are two spare ones in the drawer next to the window, behind the scissors.",
        "What we need from the shop", "Oil, two wicks, a new thermometer, and paper for the notes. Bo goes on Friday "
        "if the weather is good. The old thermometer shows two degrees too many, so all values of this week have to "
        "be corrected by hand, which Ada will do on Sunday evening when it is quiet in the house and in the yard.",
    ),
    "dated notes": _sections(
        "2026-01-05 first experiment with glass", "We tested a model of the lamp and compared the results of the "
        "method with a baseline. " * 4, "2026-01-06 second experiment with glass", "We evaluated the data of the "
        "first experiment and found an error in the analysis. " * 4, "2026-01-07 third experiment with glass",
        "We trained a model on the data and measured its performance on a task. " * 5,
    ),
    "days": _sections(
        *(part for n in (1, 2, 3, 4) for part in (f"Day {n}: calibrating the big lamp again", "We evaluated the "
          "method on the data and the results of the experiment show a small error of the model. " * 4)),
    ),
    "minutes": _sections(
        "Present", "Ada Vex (chair), Bo Ten, Cleo Moth. Apologies were received from Dov, who is at sea until the "
        "end of the month, and from Edda, whose train did not leave. The minutes of the last meeting were read aloud "
        "and approved without changes, after a short discussion about the spelling of two names on the second page.",
        "New lamps for the village hall", "Bo presented three offers. The cheapest is 400, but without fitting. After "
        "a long discussion it was agreed to ask the second firm whether fitting could be included in the price. Cleo "
        "will write to them by Friday. The decision was postponed to the next meeting, which is the annual one.",
        "Any other business before we close", "The key of the shed is missing again. Whoever has it is asked to put "
        "it back on the hook. The next meeting is on the first Tuesday of March, at seven, in the small room, because "
        "the choir needs the large one. Ada thanked everybody and closed the meeting shortly before nine o'clock.",
    ),
    "chapters": _sections(
        "Chapter 1", "The lamp had been burning since before anybody could remember. " * 8, "Chapter 2",
        "Nobody asked the keeper why he never slept, and he never told them. " * 8, "Chapter 3",
        "In the third winter the oil ran out, and the sea came nearer every night. " * 8,
    ),
    "chapters with titles": _sections(
        "In which the keeper loses his key", "The keeper looked for his key in the shed, under the bed and in both of "
        "his coats. It was nowhere. Outside the wind had turned, and he could hear the boats knocking against the "
        "stones. He thought of the night when his father had come home without a hat, and he laughed a little.",
        "In which a stranger asks the way", "She stood at the gate with a bag over her shoulder and wanted to know "
        "how far it was to the harbor. He told her that it was an hour on foot, or less for somebody who was not "
        "afraid of cows. She was not. They looked at each other for a while, and then it began to rain on them both.",
        "In which nothing happens at all", "It was the quietest day of the year. The keeper sat at the window and "
        "watched a beetle climb up the curtain, fall down, and climb up again. At noon he ate bread and an apple. He "
        "did not think of the stranger, or only twice, and the second time hardly counted, as he was nearly asleep.",
    ),
    "faq": _sections(
        "How do I light the lamp for the first time?", "Fill the tank up to the red line, wait for ten minutes until "
        "the wick is wet, and hold a match to it. Do not open the window. If the flame is blue, turn the wheel to the "
        "left until it is yellow. If it does not burn at all, the oil is probably too old and has to be replaced.",
        "Why does my lamp make a strange noise?", "Most lamps hum a little. If yours is louder than a cat, the glass "
        "may be loose. Take it off when it is cold, clean the ring with a dry cloth, and put it back. Should the noise "
        "come back within a week, please bring the lamp to one of our shops, where somebody will look at it for free.",
        "Can I send the lamp back to you?", "Yes, within thirty days, if it has not been dropped. Write to us first, "
        "and we send you a label for the parcel. Please do not send any oil, because the post does not take it. You "
        "get your money back within two weeks of the day on which the parcel has arrived in our main storehouse.",
    ),
    "wiki page": _sections(
        "History", "The first lanterns of the island were made of horn. Glass came much later, with the trade in the "
        "time of the second harbor master, and stayed rare until the railway was built. Several of the old ones can be "
        "seen in the museum, which is open in summer. One of them is said to have belonged to a well-known smuggler.",
        "Construction", "A lantern has a tank, a wick, a burner and a chimney of glass. The tank is mostly of brass. "
        "The wick is a woven band, whose width decides how much light it gives. Some lanterns have two wicks. They are "
        "brighter but use twice as much oil, which is why they were only lit on feast days or for important guests.",
        "Use at sea and in the mines", "On boats a lantern had to be closed on all sides. In mines, a net of wire was "
        "put around the flame so that gas could not catch fire. Both kinds were heavy, and many were thrown away when "
        "electric lamps came into use. Collectors pay high prices for those that still have their first glass today.",
    ),
    "changelog": _sections(
        "1.4.0", "The reader of lamps accepts files without a name. A test that failed on Windows was repaired. The "
        "model of the flame is loaded later, which makes the start twice as fast. An error in the method for the "
        "analysis of the data was corrected, and the results are compared with those of the earlier release.",
        "1.3.2", "Fixes a problem with the order of the wicks. Nothing else has changed since the last version, but "
        "the documentation was reviewed and several of its examples were tested again with the newest libraries. "
        "Thanks to everybody who sent us a report or a test, or who just wrote to us that all of it works for them.",
        "1.3.1", "Reverts the change of the burner that made some lamps hum. A future release will bring it back with "
        "a setting. The old behavior is still the default. Users of the first versions have to run the update twice, "
        "because the format of the stored data has changed in the meantime and is converted in two separate steps.",
    ),
    "readme": _sections(
        "# lantern", "A small library for lanterns. It lights them, and puts them out.", "## Install",
        "    pip install lantern", "## Use", "Call `light()`. See the documentation for what else it can do.",
    ),
    "readme of research code": _sections(
        "Installation", "Clone the repository and install the requirements. We tested the code with two versions of "
        "Python. Training a model needs one GPU, and the evaluation on the benchmark takes an hour. The datasets are "
        "downloaded at the first run. If that fails, fetch them by hand and put them into the folder named data.",
        "Training", "Run the script with the name of a task. The results of each experiment are stored in a folder of "
        "their own, together with the parameters, the random seed and the scores. Our method and the baselines are "
        "chosen by an option. To compare several models, give their names with commas between them, and no spaces.",
        "Citation", "If you use our framework, please cite the paper in which we introduce the method and present "
        "the results of the experiments on four datasets. The analysis of the errors is in its appendix. We are happy "
        "about reports of problems and about ideas for other tasks, models or benchmarks that we have not thought of.",
    ),
    "sections of a paper": _sections(
        "Introduction", "We present a novel method for the analysis of lanterns and evaluate it on a dataset. " * 5,
        "Related Work", "Earlier studies propose models that are trained on data of several tasks. " * 5,
        "Results and Discussion", "The results of our experiments show that the method performs well. " * 5,
    ),
    "numbered sections": _sections(
        "1 Why lanterns hum in still air", "We present a novel method and evaluate it on a dataset of lamps. " * 6,
        "2 What earlier work has found out", "Earlier studies propose models that are trained on data. " * 7,
        "3 How we count the loud ones", "The results of our experiments show that the method performs well. " * 6,
    ),
    "peer review": _sections(
        "Summary", "The paper presents a method for lanterns and evaluates it on two datasets. The results show a gain "
        "over the baselines. The idea is simple and the experiments are described in detail, although the analysis of "
        "the errors is short and one of the models that it is compared with has been trained on much less data.",
        "Strengths", "The problem is relevant. The method is easy to understand, and the code will be released. The "
        "benchmark is well chosen. I liked the figure that shows how the performance depends on the number of wicks, "
        "and the discussion of the limits of the approach, which is more honest than in most papers of this kind.",
        "Weaknesses", "There is no test of significance. The parameters of the baseline are not given. It is not clear "
        "whether the random seeds of all experiments are the same. The related work leaves out several studies that "
        "investigate the same task. The title promises more than the results, which are for small lamps only, show.",
    ),
    "mail": "From: Ada <ada@example.org>\nTo: bo@example.org\nSubject: Lamps\nDate: Mon, 5 Jan 2026 10:00:00 +0000\n\n"
    "Dear Bo,\n\nthe lamps have arrived. " + "Two of them are broken. " * 12 + "\n\nYours\nAda\n",
    "mail without headers": _sections(
        "Dear Bo,", "thank you for the lamps, which came on Monday. Two of them are broken, but the others burn well. "
        "I have put one into the kitchen and one next to the stairs, where it was always too dark for my mother. She "
        "sends her regards and asks whether you could bring some of the good oil when you visit us in the spring.",
        "Best wishes", "Ada",
    ),
    "news": _sections(
        "Village gets new lamps after long debate", "The council has decided to buy forty lamps. They will be put up "
        "along the road to the harbor before the winter. The mayor said that she was glad about the end of a dispute "
        "that had gone on for years. Fishermen had asked for light at the pier, while others wanted to see the stars.",
        "Keeper of the lighthouse retires at ninety", "After seventy years of service the keeper has handed over his "
        "key. He will move to his daughter's farm, where there is, as he says, enough to do. A party was held at the "
        "inn, with music and a cake in the shape of a tower. His successor is the first who was not born on the coast.",
        "Ferry will not run on Sunday mornings", "The company blames a lack of sailors. From April on, the first boat "
        "leaves at noon. Hotels fear that guests will stay away and have written a letter to the ministry. Whoever has "
        "to be on the other side earlier can take the post boat, which has room for six people and for one bicycle.",
    ),
    "recipes": _sections(
        "Soup of red lentils and carrots", "Wash the lentils and cut the carrots into small pieces. Fry an onion in "
        "oil until it is golden, add everything else, and pour a liter of water on it. Let it cook for twenty minutes. "
        "Then add salt, pepper and the juice of a lemon. It tastes best on the second day, with bread and some yogurt.",
        "Bread that needs no kneading at all", "Mix flour, water, salt and very little yeast in a large bowl. Cover it "
        "and leave it alone until the next day. Heat a pot in the oven, put the dough into it, and bake it for half an "
        "hour with the lid on and for a quarter of an hour without. Wait until it is cold before you cut the first slice.",
        "Apple cake as my aunt made it", "Peel six apples, and cut them into thin slices. Make a dough of butter, sugar, "
        "eggs and flour, and put it into a round tin. Lay the apples on it in rings, from the outside to the middle, and "
        "sprinkle sugar and cinnamon on top. Bake it until the house smells of it, which takes about forty minutes.",
    ),
    "diary": _sections(
        "Monday", "Rain all day. I stayed in bed with a book and a cat. " * 6, "Tuesday", "Rain again. The cat has left "
        "me for the stove, and I finished the book. " * 5, "Wednesday", "The sun came out for one hour. " * 10,
    ),
    "terms": _sections(
        "1. Scope of these general terms", "These terms apply to all contracts between the shop and its customers. " * 5,
        "2. Prices and terms of payment", "All prices contain the tax and do not contain the cost of sending. " * 5,
        "3. Right to return the goods", "The customer may return goods within thirty days without a reason. " * 5,
    ),
    "job offers": _sections(
        "Keeper of the northern lighthouse (part time)", "We are looking for a person who does not mind being alone. "
        "You light the lamp in the evening and put it out in the morning. In between you write down which ships pass. We "
        "offer a warm room, a boat, and all the fish that you can eat. Experience with oil lamps is welcome but not needed.",
        "Teacher for the school at the harbor", "The school has eleven pupils between six and fourteen years. They are "
        "friendly and know a lot about knots. You teach them everything else. Lessons begin at nine and end when the boats "
        "come back. A flat above the classroom can be rented for very little money, and has a view of the whole bay.",
        "Cook for the inn at the mill", "From May to October our inn is full every night, and we need somebody who can "
        "cook for forty people without shouting. The kitchen is new. There are two helpers and a gardener who brings what "
        "is ripe. Please come for a meal first, so that you know what you are getting into, and bring a knife of your own.",
    ),
    "chat": "\n".join(f"[10:{n:02}] {'Ada' if n % 2 else 'Bo'}: does the lamp burn now? not yet, I think" for n in range(40)),
    "transcript": _sections(
        "ADA", "So the question is what we do with the lamps. " * 8, "BO", "I would keep them, at least the good ones. " * 8,
        "ADA", "And where would you put them, if I may ask? " * 8,
    ),
    "log": "\n".join(f"2026-01-05 10:{n:02}:00 INFO lamp {n} is burning, oil at {n} percent" for n in range(50)),
    "traceback": 'Traceback (most recent call last):\n  File "lamp.py", line 3, in <module>\n    light()\nValueError: no oil\n',
    "source code": 'def light(lamp):\n    """Light a lamp."""\n    lamp.burns = True\n\n\ndef main():\n    light(Lamp())\n',
    "poem": _sections(
        "The keeper", "The sea is loud, the lamp is low,\nthe keeper has nowhere to go.", "The moth",
        "It loved the flame, it said good night,\nand went, a little brighter, white.", "The end",
        "No oil is left, no wick, no more,\nand morning walks along the shore.",
    ),
    "list": "- oil\n- two wicks\n- a thermometer\n- paper\n",
    "todo": "TODO: buy oil\nTODO: ask Bo about the sensor\nDONE: wash the glass of lamp three\n",
    "passwd": "root:x:0:0:root:/root:/bin/sh\nlamp:x:1000:1000::/home/lamp:/bin/sh\n",
    "ini": "[lamp]\noil = 3\nwick = long\n\n[glass]\nclean = no\n",
    "yaml": "lamp:\n  oil: 3\n  wick: long\nglass:\n  clean: false\n",
    "json in text": 'The answer of the server was:\n\n{"title": "Lamps", "abstract": "none"}\n\nand nothing else.\n',
    "csv": "name,oil,wick\none,3,long\ntwo,4,short\nthree,1,long\n",
    "table with spaces": "name   oil  wick\none    3    long\ntwo    4    short\n",
    "broken ris": "TI  A study of lanterns\nAB  We measure how lanterns hum in still air.\nAU  Vex, Ada\n",
    "bibliography": "\n\n".join(
        f"[{n}] A. Vex and B. Ten. A study of lanterns, part {n}. Journal of Lanterns, {n}(2):1-9, 2013." for n in range(1, 9)
    ),
    "bibliography by name": _sections(
        *(f"Vex, A., & Ten, B. ({2000 + n}). A study of lanterns and their hum, volume {n}. Lamp Press." for n in range(9))
    ),
    "subtitles": "\n\n".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n + 1:02},000\nThe lamp is burning." for n in range(1, 20)),
    "slides": _sections(
        "Outline", "Why lanterns hum\nWhat we did\nWhat we found", "Why lanterns hum", "Because of the glass\nor the wick",
        "Results", "31 of 40 hum", "Thank you", "Questions?",
    ),
    "one long paragraph": "We present a novel method and evaluate it on a dataset of lanterns. " * 40,
    "two papers": _sections(
        "A study of lanterns in still air", "We present a novel method and evaluate it on a dataset of lanterns. " * 6,
        "Do moths hear lanterns at night?", "We present a novel method and evaluate it on a dataset of moths. " * 6,
    ),
}  # fmt: skip
"""Kind → a text of that kind, none of which may give a paper."""

_PARTS = (
    ("A study of lanterns that hum in still air", "We measure how lanterns hum in still air. Of 40 lanterns, 31 hum at "
     "12 Hz or above. A model of the glass predicts the frequency with an error of 4%, and a second experiment with "
     "thicker glass confirms the hypothesis. The results suggest that the hum is caused by the chimney and not by the wick."),
    ("Do moths hear lanterns? Evidence from a field trial", "Background: Moths fly to lanterns, but it is not known whether "
     "they hear them. Methods: In a randomized trial, 200 moths were released near silent and humming lanterns. Results: "
     "There was no significant difference between the groups (48% versus 51%). Conclusion: The effect of sound is small."),
    ("WickNet: Estimating the Age of a Flame from One Image", "Estimating the age of a flame is a problem with many uses. "
     "We introduce WickNet, a network of 3 million parameters that is trained on 12,000 images. On two benchmarks it "
     "performs better than all baselines, with a mean error of 1.4 hours. Code and data are available to everybody."),
    ("Oil markets of the island before the railway", "This article examines how oil was traded on the island between 1820 "
     "and 1870. Using account books of four merchants, we show that prices in the two harbors were correlated only after "
     "the road was built. The evidence suggests that transport, and not demand, controlled the structure of the market."),
    ("Expression of a hum-associated gene in beetles", "Beetles that live in lanterns are exposed to sound. We compared the "
     "expression of the gene hum1 in 60 beetles from lamps and 60 from meadows. Levels of the protein were twice as high in "
     "the former. Treatment with silence for ten days reversed the effect, which points to a mechanism of regulation."),
    ("On the number of wicks in a random lantern", "We consider lanterns whose wicks are added at random. Let n be the number "
     "of wicks. We prove that the distribution of n has an exponential tail, and determine its rate as a function of the "
     "oil. The proof uses a new estimate for sums of dependent variables that may be of interest for other problems."),
    ("Teaching children to light lamps: a review", "Lighting lamps is taught in different ways. We reviewed 43 studies with a "
     "control group and analyzed their results. Methods in which children practice in pairs have larger effects than "
     "lectures. The quality of the studies is low, and most tests were written by the authors of the methods themselves."),
)  # fmt: skip

HEADERLESS_PAGES = [
    [_PARTS[(start + step * n) % len(_PARTS)] for n in range(size)]
    for start, step, size in (
        (0, 1, 3), (1, 1, 3), (2, 1, 3), (3, 1, 3), (4, 1, 3), (5, 1, 4), (6, 2, 4), (0, 3, 5), (1, 2, 6), (2, 3, 7),
    )
]  # fmt: skip
"""Pages as lists of titles and abstracts."""
