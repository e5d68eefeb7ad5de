//! The words of the simulated shop: departments, nouns, attributes and their surface forms.
//!
//! Data only. A concept is written as its surface forms separated by `/`; every concept has at
//! least two, so that shoppers can always use a word that no seller prints. Knows nothing of items,
//! frequencies or which forms sellers use: those are drawn by the world.

/// One attribute: its name and its values (each a `/`-separated list of surface forms).
pub(super) struct AttributeWords {
    /// Name of the attribute.
    pub(super) name: &'static str,
    /// Values, each with its surface forms.
    pub(super) values: &'static [&'static str],
}

/// One department: which attributes its leaves may have, and its shelves with their nouns.
pub(super) struct DepartmentWords {
    /// Name of the department (first category level).
    pub(super) name: &'static str,
    /// Names of attributes that make sense here (brand is always one more).
    pub(super) attributes: &'static [&'static str],
    /// Shelves (second level): name and nouns (third level), each noun with its surface forms.
    pub(super) shelves: &'static [(&'static str, &'static [&'static str])],
}

/// First halves of brand names; a brand is one of these with one of [`BRAND_TAILS`].
#[rustfmt::skip]
pub(super) const BRAND_HEADS: [&str; 40] = [
    "north", "silver", "oak", "blue", "iron", "river", "sun", "stone", "moon", "cedar", "wolf",
    "maple", "star", "cliff", "sea", "fox", "amber", "frost", "hill", "wind", "bright", "gold",
    "haven", "ember", "pine", "raven", "lake", "thunder", "crown", "swift", "elder", "storm",
    "rose", "falcon", "summit", "harbor", "willow", "copper", "meadow", "orchid",
];

/// Second halves of brand names.
#[rustfmt::skip]
pub(super) const BRAND_TAILS: [&str; 16] = [
    "peak", "craft", "ridge", "works", "field", "line", "wood", "gate", "mark", "land", "house",
    "way", "forge", "bay", "nest", "dale",
];

/// Words that sellers stuff into titles without meaning anything.
#[rustfmt::skip]
pub(super) const STUFFING: [&str; 16] = [
    "new",
    "premium",
    "deluxe",
    "quality",
    "bestseller",
    "original",
    "professional",
    "classic",
    "improved",
    "exclusive",
    "genuine",
    "popular",
    "value",
    "select",
    "essential",
    "signature",
];

/// The shared pool of attributes.
#[rustfmt::skip]
pub(super) const ATTRIBUTES: &[AttributeWords] = &[
    AttributeWords {
        name: "color",
        values: &[
            "red/crimson/scarlet/ruby",
            "blue/azure/cobalt",
            "navy/midnight/marine",
            "green/emerald/verdant",
            "olive/khaki/moss",
            "black/ebony/jet/onyx",
            "white/ivory/snow",
            "gray/grey/slate/charcoal",
            "brown/chocolate/mocha/umber",
            "beige/sand/tan/taupe",
            "yellow/lemon/canary",
            "orange/tangerine/apricot",
            "pink/blush/rosy",
            "purple/violet/plum",
            "turquoise/teal/aqua",
            "burgundy/maroon/wine",
            "golden/gilt",
            "silvery/chrome/pewter",
            "cream/vanilla/ecru",
            "coral/salmon/peach",
        ],
    },
    AttributeWords {
        name: "material",
        values: &[
            "wooden/timber/hardwood",
            "oaken/whitewood",
            "bamboo/cane/rattan",
            "steel/inox/stainless",
            "aluminum/aluminium/alloy",
            "leather/hide/cowhide",
            "plastic/polymer/acrylic",
            "glass/crystal",
            "ceramic/porcelain/stoneware",
            "marble/granite",
            "wicker/woven",
            "brass/bronze",
            "rubber/silicone",
            "concrete/cement",
            "cork/bark",
            "resin/fiberglass",
        ],
    },
    AttributeWords {
        name: "fabric",
        values: &[
            "cotton/jersey",
            "linen/flax",
            "wool/woolen/merino",
            "silk/satin/silken",
            "polyester/synthetic",
            "denim/chambray",
            "velvet/velour/plush",
            "fleece/sherpa",
            "cashmere/pashmina",
            "suede/nubuck",
            "nylon/polyamide",
            "canvas/duck",
            "flannel/brushed",
            "spandex/elastane/stretchy",
            "corduroy/ribbed",
            "mesh/netting",
        ],
    },
    AttributeWords {
        name: "size",
        values: &[
            "small/little/petite",
            "medium/midsize",
            "large/big/roomy",
            "oversized/huge/giant/jumbo",
            "compact/slimline",
            "mini/tiny/miniature",
            "tall/high",
            "wide/broad",
            "narrow/skinny",
            "double/twofold",
        ],
    },
    AttributeWords {
        name: "style",
        values: &[
            "modern/contemporary",
            "rustic/farmhouse/country",
            "vintage/retro/antique",
            "industrial/loft",
            "scandinavian/nordic/hygge",
            "bohemian/boho",
            "minimalist/plain/simple",
            "elegant/refined/graceful",
            "traditional/heritage",
            "casual/relaxed/everyday",
            "sporty/athletic",
            "glamorous/luxurious/posh",
            "coastal/nautical/beachy",
            "romantic/shabby",
        ],
    },
    AttributeWords {
        name: "pattern",
        values: &[
            "striped/stripes/pinstripe",
            "floral/flowery/botanical",
            "checked/plaid/tartan/gingham",
            "dotted/polka/spotted",
            "geometric/angular",
            "camouflage/camo",
            "paisley/persian",
            "leopard/cheetah",
            "herringbone/chevron",
            "abstract/painterly",
            "quilted/stitched",
            "embroidered/needlework",
        ],
    },
    AttributeWords {
        name: "room",
        values: &[
            "kitchen/galley",
            "bedroom/sleeping",
            "bathroom/lavatory/washroom",
            "office/study/workroom",
            "nursery/playroom",
            "hallway/entryway/corridor",
            "patio/terrace/veranda",
            "garage/carport",
            "dining/diner",
            "attic/loftroom",
            "balcony/deckside",
            "dorm/student",
        ],
    },
    AttributeWords {
        name: "shape",
        values: &[
            "round/circular",
            "square/quadratic",
            "rectangular/oblong",
            "oval/elliptical",
            "curved/arched",
            "corner/sectional",
            "hexagonal/honeycomb",
            "slanted/angled",
        ],
    },
    AttributeWords {
        name: "finish",
        values: &[
            "matte/dull",
            "glossy/shiny/lacquered",
            "distressed/weathered",
            "polished/mirrored",
            "painted/enameled",
            "varnished/sealed",
            "powdercoated/coated",
            "galvanized/zinc",
            "engraved/etched",
            "hammered/dimpled",
        ],
    },
    AttributeWords {
        name: "feature",
        values: &[
            "foldable/collapsible/folding",
            "adjustable/variable",
            "waterproof/watertight/rainproof",
            "portable/travel",
            "stackable/nesting",
            "extendable/telescopic",
            "padded/cushioned",
            "insulated/thermal",
            "washable/cleanable",
            "reversible/twosided",
            "lockable/locking",
            "magnetic/magnet",
            "rechargeable/usb",
            "silent/quiet/noiseless",
            "wheeled/rolling/trolley",
            "convertible/transformable",
            "breathable/airy/ventilated",
            "shockproof/rugged/heavyduty",
        ],
    },
    AttributeWords {
        name: "audience",
        values: &[
            "womens/ladies/female",
            "mens/gents/male",
            "kids/children/childrens",
            "boys/lads",
            "girls/girlish",
            "baby/infant/newborn",
            "toddler/preschool",
            "teens/teenage/junior",
            "unisex/genderless",
            "seniors/elderly",
            "maternity/pregnancy",
        ],
    },
    AttributeWords {
        name: "season",
        values: &[
            "summer/summertime",
            "winter/wintertime/arctic",
            "autumn/fall",
            "spring/springtime",
            "christmas/xmas/festive",
            "halloween/spooky",
            "wedding/bridal",
            "party/celebration",
            "birthday/anniversary",
            "vacation/holiday",
        ],
    },
    AttributeWords {
        name: "activity",
        values: &[
            "running/jogging",
            "hiking/trekking/trail",
            "camping/bushcraft",
            "yoga/pilates",
            "cycling/biking",
            "swimming/aquatic",
            "fishing/angling",
            "skiing/alpine",
            "climbing/bouldering",
            "tennis/racquet",
            "golf/golfing",
            "basketball/hoops",
            "soccer/football",
            "boxing/sparring",
            "gym/fitness/workout",
            "hunting/shooting",
        ],
    },
    AttributeWords {
        name: "power",
        values: &[
            "cordless/wireless/battery",
            "electric/corded/mains",
            "solar/sunpowered",
            "manual/handheld/crank",
            "gas/propane",
            "hybrid/dualfuel",
            "pneumatic/compressed",
            "led/diode",
            "hydraulic/fluid",
        ],
    },
    AttributeWords {
        name: "connectivity",
        values: &[
            "bluetooth/bt",
            "wifi/wlan",
            "smart/intelligent/connected",
            "wired/cabled",
            "infrared/remote",
            "touchscreen/tactile",
            "voice/spoken",
            "radio/fm",
        ],
    },
    AttributeWords {
        name: "capacity",
        values: &[
            "single/solo",
            "family/household",
            "bulk/wholesale",
            "pocket/purse",
            "professional/commercial",
            "twin/pair/duo",
            "triple/trio",
            "dozen/twelve",
            "starter/beginner",
            "refill/replacement",
        ],
    },
    AttributeWords {
        name: "scent",
        values: &[
            "lavender/lavandin",
            "citrus/lime/grapefruit",
            "sandalwood/woody",
            "jasmine/blossom",
            "peppermint/minty/menthol",
            "coconut/tropical",
            "eucalyptus/herbal",
            "unscented/fragrancefree",
            "almond/nutty",
            "honey/beeswax",
            "rosewater/damask",
            "cinnamon/spiced",
        ],
    },
    AttributeWords {
        name: "diet",
        values: &[
            "organic/bio",
            "vegan/plantbased",
            "glutenfree/celiac",
            "sugarfree/unsweetened",
            "decaf/caffeinefree",
            "roasted/toasted",
            "salted/savory",
            "sweet/sugary",
            "spicy/hot/fiery",
            "smoked/smoky",
            "dried/dehydrated",
            "raw/unprocessed",
            "kosher/halal",
            "lowfat/light",
        ],
    },
    AttributeWords {
        name: "concern",
        values: &[
            "moisturizing/hydrating",
            "antiaging/wrinkle",
            "soothing/calming/sensitive",
            "whitening/brightening",
            "exfoliating/scrubbing",
            "nourishing/repairing",
            "volumizing/thickening",
            "oilfree/mattifying",
            "protective/shielding",
            "firming/toning",
        ],
    },
    AttributeWords {
        name: "pet",
        values: &[
            "dog/canine",
            "cat/feline",
            "puppy/pup",
            "kitten/kitty",
            "rabbit/bunny",
            "hamster/gerbil",
            "bird/parrot",
            "aquarium/fishtank",
            "horse/equine",
            "reptile/lizard",
        ],
    },
    AttributeWords {
        name: "theme",
        values: &[
            "dinosaur/jurassic",
            "space/rocket/galaxy",
            "princess/fairy",
            "pirate/buccaneer",
            "jungle/safari",
            "ocean/underwater",
            "robot/android",
            "unicorn/rainbow",
            "superhero/hero",
            "farm/barnyard",
            "train/railway",
            "racing/speedway",
            "medieval/knight",
            "circus/clown",
        ],
    },
];

/// The tree: departments, shelves, nouns.
#[rustfmt::skip]
pub(super) const DEPARTMENTS: &[DepartmentWords] = &[
    DepartmentWords {
        name: "furniture",
        attributes: &["color", "material", "size", "style", "room", "shape", "finish", "feature"],
        shelves: &[
            (
                "seating",
                &[
                    "sofa/couch/settee/davenport",
                    "armchair/recliner/lounger",
                    "stool/barstool/tabouret",
                    "bench/pew",
                    "ottoman/footstool/pouf",
                ],
            ),
            (
                "storage",
                &[
                    "bookcase/bookshelf/shelving",
                    "dresser/bureau/commode",
                    "wardrobe/armoire/closet",
                    "cabinet/cupboard/sideboard",
                    "chest/trunk/coffer",
                ],
            ),
            (
                "tables and beds",
                &[
                    "table/tabletop",
                    "desk/workstation/escritoire",
                    "nightstand/bedside",
                    "bed/bedstead/bedframe",
                    "crib/cot/cradle",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "home",
        attributes: &[
            "color", "fabric", "size", "style", "pattern", "room", "shape", "season", "feature",
        ],
        shelves: &[
            (
                "textiles",
                &[
                    "rug/carpet/mat",
                    "curtain/drape/drapery",
                    "blanket/throw/afghan",
                    "pillow/cushion/bolster",
                    "duvet/comforter/quilt",
                    "towel/bathtowel",
                    "tablecloth/tablecover",
                ],
            ),
            (
                "decor",
                &[
                    "lamp/light/luminaire",
                    "mirror/lookingglass",
                    "vase/urn/jar",
                    "clock/timepiece",
                    "candle/taper/votive",
                    "frame/pictureframe",
                    "basket/hamper/bin",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "kitchenware",
        attributes: &[
            "color", "material", "size", "style", "finish", "feature", "power", "capacity",
        ],
        shelves: &[
            (
                "cookware",
                &[
                    "pan/skillet/frypan",
                    "pot/saucepan/stockpot",
                    "wok/stirfry",
                    "kettle/teakettle/boiler",
                    "casserole/dutchoven",
                    "griddle/hotplate",
                ],
            ),
            (
                "appliances",
                &[
                    "blender/liquidizer/smoothie",
                    "toaster/toastmaker",
                    "mixer/beater/whisk",
                    "coffeemaker/percolator/brewer",
                    "microwave/nuker",
                    "refrigerator/fridge/icebox",
                ],
            ),
            (
                "tableware",
                &[
                    "plate/dish/platter",
                    "mug/cup/beaker",
                    "glassware/tumbler/goblet",
                    "bowl/basin",
                    "cutlery/flatware/silverware",
                    "teapot/teaset",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "clothing",
        attributes: &[
            "color", "fabric", "size", "style", "pattern", "audience", "season", "feature",
        ],
        shelves: &[
            (
                "tops",
                &[
                    "shirt/blouse/buttondown",
                    "sweater/pullover/jumper",
                    "hoodie/sweatshirt",
                    "jacket/blazer/windbreaker",
                    "coat/overcoat/parka",
                    "vest/gilet/waistcoat",
                ],
            ),
            (
                "bottoms and dresses",
                &[
                    "trousers/pants/slacks",
                    "jeans/dungarees",
                    "shorts/bermudas",
                    "skirt/kilt",
                    "dress/gown/frock",
                    "leggings/tights",
                ],
            ),
            (
                "underneath",
                &[
                    "pajamas/nightwear/sleepwear",
                    "socks/hosiery",
                    "underwear/briefs/undies",
                    "swimsuit/bathers/swimwear",
                    "robe/bathrobe/housecoat",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "shoes and accessories",
        attributes: &[
            "color", "fabric", "size", "style", "pattern", "audience", "season", "activity",
            "feature",
        ],
        shelves: &[
            (
                "shoes",
                &[
                    "sneakers/trainers/kicks",
                    "boots/booties",
                    "sandals/flipflops/thongs",
                    "loafers/moccasins",
                    "heels/pumps/stilettos",
                    "slippers/houseshoes",
                ],
            ),
            (
                "accessories",
                &[
                    "handbag/purse/pocketbook",
                    "backpack/rucksack/knapsack",
                    "wallet/billfold",
                    "belt/waistband",
                    "scarf/shawl/muffler",
                    "hat/cap/beanie",
                    "gloves/mittens",
                    "umbrella/parasol/brolly",
                    "sunglasses/shades",
                    "suitcase/luggage/valise",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "electronics",
        attributes: &[
            "color",
            "size",
            "finish",
            "feature",
            "power",
            "connectivity",
            "capacity",
            "audience",
        ],
        shelves: &[
            (
                "sound and picture",
                &[
                    "headphones/headset/earphones",
                    "speaker/loudspeaker/soundbar",
                    "television/tv/telly",
                    "projector/beamer",
                    "microphone/mic",
                    "camera/camcorder",
                ],
            ),
            (
                "computing",
                &[
                    "laptop/notebook",
                    "keyboard/keypad",
                    "mouse/trackball",
                    "monitor/display/screen",
                    "printer/inkjet",
                    "router/modem",
                    "charger/adapter",
                    "cable/cord/lead",
                ],
            ),
            (
                "mobile",
                &[
                    "smartphone/cellphone/mobile",
                    "smartwatch/wearable",
                    "tablet/ereader",
                    "powerbank/batterypack",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "tools and garden",
        attributes: &[
            "color", "material", "size", "finish", "feature", "power", "capacity", "room",
        ],
        shelves: &[
            (
                "tools",
                &[
                    "drill/driver/borer",
                    "saw/sawblade",
                    "hammer/mallet",
                    "wrench/spanner",
                    "pliers/pincers",
                    "ladder/stepladder",
                    "flashlight/torch",
                    "toolbox/toolchest",
                    "sander/grinder",
                ],
            ),
            (
                "garden",
                &[
                    "lawnmower/mower",
                    "hose/hosepipe",
                    "shovel/spade",
                    "planter/flowerpot",
                    "shears/pruners/clippers",
                    "wheelbarrow/pushcart",
                    "grill/barbecue/bbq",
                    "rake/hoe",
                    "sprinkler/irrigation",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "sports",
        attributes: &[
            "color", "fabric", "size", "audience", "activity", "feature", "capacity", "season",
        ],
        shelves: &[
            (
                "outdoor",
                &[
                    "tent/shelter/canopy",
                    "sleepingbag/bedroll",
                    "cooler/icechest",
                    "bottle/flask/canteen",
                    "kayak/canoe",
                    "hammock/swing",
                    "binoculars/fieldglasses",
                ],
            ),
            (
                "training",
                &[
                    "bicycle/bike/cycle",
                    "treadmill/runningmachine",
                    "dumbbell/weights/barbell",
                    "helmet/headgear",
                    "ball/gameball",
                    "racket/paddle",
                    "skateboard/longboard",
                    "goggles/eyewear",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "beauty",
        attributes: &["color", "size", "audience", "scent", "concern", "capacity", "season"],
        shelves: &[
            (
                "skin",
                &[
                    "lotion/cream/balm",
                    "soap/cleanser/facewash",
                    "sunscreen/sunblock",
                    "serum/ampoule",
                    "deodorant/antiperspirant",
                    "perfume/fragrance/cologne",
                ],
            ),
            (
                "hair and make-up",
                &[
                    "shampoo/hairwash",
                    "conditioner/hairmask",
                    "hairdryer/blowdryer",
                    "lipstick/lipgloss/rouge",
                    "mascara/eyelash",
                    "brush/comb/hairbrush",
                    "razor/shaver",
                    "nailpolish/varnishkit",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "food",
        attributes: &["size", "diet", "capacity", "season", "scent", "audience"],
        shelves: &[
            (
                "drinks",
                &[
                    "coffee/espresso/java",
                    "tea/chai/infusion",
                    "juice/nectar",
                    "soda/pop/cola",
                    "water/springwater",
                ],
            ),
            (
                "pantry",
                &[
                    "cookies/biscuits",
                    "chips/crisps",
                    "candy/sweets/confectionery",
                    "pasta/noodles/macaroni",
                    "cereal/granola/muesli",
                    "nuts/cashews",
                    "sauce/gravy/dressing",
                    "rice/grain",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "toys",
        attributes: &[
            "color", "material", "size", "audience", "theme", "power", "season", "capacity",
        ],
        shelves: &[
            (
                "play",
                &[
                    "doll/figurine/dolly",
                    "puzzle/jigsaw",
                    "blocks/bricks",
                    "plushie/teddy/stuffie",
                    "kite/glider",
                    "boardgame/tabletopgame",
                ],
            ),
            (
                "move",
                &[
                    "scooter/kickscooter",
                    "tricycle/trike",
                    "stroller/pram/pushchair",
                    "slide/chute",
                    "playhouse/wendyhouse",
                    "costume/outfit/disguise",
                ],
            ),
        ],
    },
    DepartmentWords {
        name: "pets",
        attributes: &[
            "color", "material", "size", "pet", "feature", "pattern", "capacity", "season",
        ],
        shelves: &[
            (
                "living",
                &[
                    "kennel/doghouse/hutch",
                    "carrier/crate/transporter",
                    "leash/tether",
                    "collar/harness",
                    "litterbox/tray",
                ],
            ),
            (
                "care",
                &[
                    "feeder/feedbowl",
                    "chewtoy/squeaker",
                    "kibble/petfood",
                    "groomer/currycomb",
                    "scratcher/scratchpost",
                ],
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_concept_has_two_to_five_forms_and_every_attribute_exists() {
        let concepts = DEPARTMENTS
            .iter()
            .flat_map(|d| d.shelves.iter().flat_map(|(_, nouns)| nouns.iter()))
            .chain(ATTRIBUTES.iter().flat_map(|a| a.values.iter()));
        for concept in concepts {
            let n_forms = concept.split('/').count();
            assert!((2..=5).contains(&n_forms), "{concept}");
            assert!(
                concept.split('/').all(|f| f.chars().all(|c| c.is_ascii_lowercase())),
                "{concept}"
            );
        }
        for department in DEPARTMENTS {
            assert!(department.attributes.len() >= 4, "{}", department.name);
            for name in department.attributes {
                assert!(ATTRIBUTES.iter().any(|a| a.name == *name), "{name}");
            }
        }
        for attribute in ATTRIBUTES {
            assert!((6..=40).contains(&attribute.values.len()), "{}", attribute.name);
        }
    }

    #[test]
    fn no_noun_form_names_two_leaves() {
        let mut seen = HashMap::new();
        for noun in DEPARTMENTS.iter().flat_map(|d| d.shelves.iter().flat_map(|(_, n)| n.iter())) {
            for form in noun.split('/') {
                if let Some(other) = seen.insert(form, noun) {
                    panic!("{form} is a form of {other} and of {noun}");
                }
            }
        }
    }
}
