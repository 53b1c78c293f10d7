/** The texts of the demo data. Names match the account rules: Latin letters and hyphens. */
export const FIRST_NAMES =
  "Alma Amir Anouk Anton Astrid Bela Bruno Carla Cem Chiara Dana Dario Elif Emil Enya Farid Fenna Greta Hana Hugo Ida Igor Ines Jana Jonas Kaya Kenji Lea Leo Lina Luca Mara Mateo Mila Nadia Nils Noor Olga Omar Otto Paula Pavel Petra Rafael Rosa Rune Sami Selma Stella Tariq Tessa Tomas Uma Vera Viktor Wanda Yara Yusuf Zita Zoran"
    .split(" ");
export const LAST_NAMES =
  "Adler Albrecht Bakker Baran Bergstrom Bianchi Brandt Castro Cermak Conti Dahl Demir Dietrich Duarte Egan Ferrer Fischer Fontana Galli Grunwald Haas Haddad Hansen Horvat Ivanova Jansen Kaplan Keller Kimura Kovac Laurent Lindgren Lorenz Marchetti Mazur Moreau Navarro Nemec Novak Okafor Olsen Ortiz Palmer Petrov Quist Ramos Ricci Romero Sato Schuster Silva Sokolova Sorensen Tanaka Torres Urban Varga Weber Winter Zeman"
    .split(" ");
export const PLACES = [
  "the harbour",
  "platform 4",
  "Old Mill Road",
  "the north shore",
  "the market hall",
  "the kitchen",
  "the roof",
  "the library",
  "Lime Street",
  "the allotments",
];

export interface Topic {
  name: string;
  tags: string[];
  about: string;
  openings: string[];
  middles: string[];
  endings: string[];
}

export const TOPICS: Topic[] = [
  {
    name: "Bread and crumbs",
    tags: ["baking", "bread", "food"],
    about: "Sourdough from a small oven, with notes on what went wrong.",
    openings: ["First loaf of the week.", "New flour today.", "The starter woke up late.", "Rye again."],
    middles: [
      "Eighty per cent water, and it still kept its shape.",
      "I let it rest overnight and the crust sings when you tap it.",
      "Too flat, but the taste is all there.",
      "Baked ten minutes longer than the book says, and I will not go back.",
      "Half of it was gone before it had cooled.",
    ],
    endings: ["Recipe on request.", "Next time with seeds.", "Butter, salt, done.", "Who else bakes before work?"],
  },
  {
    name: "Slow cycling",
    tags: ["cycling", "outdoors", "travel"],
    about: "Long rides at an easy pace: routes, repairs and cake stops.",
    openings: [
      "Sixty kilometres before lunch.",
      "Headwind all the way.",
      "Took the river path.",
      "Flat tyre number three.",
    ],
    middles: [
      "Two herons, one tractor and nobody else.",
      "The new saddle is worth every coin.",
      "I swapped the chain and the whole bicycle went quiet.",
      "The ferry was late, so there was time for cake.",
      "My knees have opinions about that last hill.",
    ],
    endings: ["Same again on Sunday?", "Route to follow.", "Bring gloves.", "Slept like a stone afterwards."],
  },
  {
    name: "Night sky notes",
    tags: ["astronomy", "science", "night"],
    about: "What can be seen from a balcony in the middle of a town.",
    openings: ["Clear for two hours.", "Clouds until midnight.", "Finally a dark night.", "The moon was too bright."],
    middles: [
      "Saturn's rings show in the small telescope if you hold your breath.",
      "I counted nine meteors and missed the tenth while writing that down.",
      "The Andromeda galaxy is a smudge, but it is my smudge.",
      "Jupiter had three moons on one side, like beads.",
      "A satellite crossed the whole frame, of course.",
    ],
    endings: ["Cold feet, no regrets.", "Drawing tomorrow.", "Look south at ten.", "Worth getting up for."],
  },
  {
    name: "Paperbacks",
    tags: ["books", "reading"],
    about: "Second-hand novels and what was found between their pages.",
    openings: [
      "Finished it on the train.",
      "A box of books for a song.",
      "Gave up on page forty.",
      "Read it twice this month.",
    ],
    middles: [
      "The translator deserves to have their name on the cover.",
      "Somebody left a pressed fern in chapter six.",
      "The last third is better than it has any right to be.",
      "Everybody in it is awful, and I miss them already.",
      "I underlined nothing, which is rare.",
    ],
    endings: ["Lending it to whoever asks first.", "What should come next?", "Four stars.", "The sequel is ordered."],
  },
  {
    name: "Balcony garden",
    tags: ["gardening", "plants", "home"],
    about: "Six square metres, forty pots, one stubborn fig.",
    openings: ["The tomatoes are in.", "Slugs, again.", "First beans of the year.", "Repotted the fig."],
    middles: [
      "The basil forgave me for last week.",
      "Seven seedlings out of ten came up, which is a record here.",
      "The bees found the lavender within an hour.",
      "I moved everything half a metre and now it gets the morning sun.",
      "Rain did in one night what I did not manage in ten days.",
    ],
    endings: ["Spare seedlings for anyone nearby.", "Watering can, please.", "Photo when it flowers.", "Patience."],
  },
  {
    name: "Film and grain",
    tags: ["photography", "film", "art"],
    about: "One old camera, one lens, thirty-six exposures at a time.",
    openings: ["Roll 14 is back.", "Shot in the rain.", "Home-developed, mostly.", "One frame out of thirty-six."],
    middles: [
      "The light leak in the corner is the best part of it.",
      "I forgot to wind on, so two streets share one frame.",
      "Expired film, and the greens have gone somewhere strange and good.",
      "Nobody looks at you when the camera is older than they are.",
      "Printed it small, and it suddenly works.",
    ],
    endings: ["Scans this evening.", "Next roll is colour.", "No crop, no filter.", "Which one would you print?"],
  },
  {
    name: "Club chess",
    tags: ["chess", "games"],
    about: "Games, endgames and excuses from the Thursday club.",
    openings: ["Lost a won endgame.", "A draw with the club champion.", "Thursday round.", "Played the French again."],
    middles: [
      "One pawn move too many, and the bishop never came out.",
      "I saw the fork a minute after I let go of the piece.",
      "Forty moves of nothing, and then everything at once.",
      "My opponent offered tea and then took my rook.",
      "The clock was the stronger player tonight.",
    ],
    endings: ["Analysis welcome.", "Rematch next week.", "Study rooks, they said.", "Still a good evening."],
  },
  {
    name: "Small repairs",
    tags: ["repair", "diy", "home"],
    about: "Things that were nearly thrown away, and were not.",
    openings: ["The radio plays again.", "Sewing machine, day two.", "Glue is not the answer.", "Fixed the lamp."],
    middles: [
      "A single cold solder joint, found after three evenings.",
      "The part costs less than the postage, so I made one.",
      "It had been put together wrongly at the factory and nobody noticed for years.",
      "I have one screw left over and no idea why.",
      "A drop of oil where no oil had been for decades.",
    ],
    endings: ["On to the toaster.", "Repair café on Saturday.", "Keep your screws sorted.", "Small victories."],
  },
];

export const REPLIES = [
  "This made my morning.",
  "Exactly the same here last week!",
  "How long did that take you?",
  "I would like to see a picture of it.",
  "Saving this for the weekend.",
  "You talked me into trying it.",
  "Counting on you to tell us how it goes on.",
  "I gave up at that point; well done.",
  "My grandmother swore by that.",
  "Please bring it along next time.",
];
