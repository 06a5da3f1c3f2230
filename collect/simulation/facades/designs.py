"""The designs of the buildings: what tells one facade of the generated campus from another."""

from dataclasses import dataclass

from collect.simulation.arrays import Colour, generator, jitter

NAMES = (
    "ALDER HALL", "BRASS LAB", "CINDER HOUSE", "DELTA WORKS", "EMBER CAFE", "FATHOM", "GRANARY", "HOLLY COURT",
    "IRONGATE", "JUNIPER", "KESTREL", "LANTERN", "MERIDIAN", "NIMBUS 9", "OSPREY GYM", "PRISM", "QUARRY", "ROOKERY",
    "SEXTANT", "TURBINE", "UMBER INN", "VERTEX 21", "WILLOW", "XYLEM", "YARROW", "ZEPHYR",
)  # fmt: skip

WALL_COLOURS: tuple[Colour, ...] = (
    (148, 78, 62), (122, 62, 56), (178, 118, 92), (196, 184, 160), (170, 166, 158), (206, 200, 188),
    (136, 128, 120), (188, 160, 120), (112, 96, 84), (160, 140, 128),
)  # fmt: skip
TRIM_COLOURS: tuple[Colour, ...] = ((214, 206, 188), (240, 238, 230), (96, 92, 88), (60, 66, 70), (176, 150, 116))
ACCENTS: tuple[Colour, ...] = (
    (178, 52, 44), (38, 92, 150), (222, 170, 44), (46, 118, 84), (112, 62, 128), (220, 110, 44), (40, 140, 150),
    (40, 40, 46),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Archetype:
    """The parts that a kind of building is put together from; each names a function or a texture."""

    masonry: str
    window: str
    bay_m: float
    storey_m: float
    articulation: str
    ground: str
    roof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """An archetype with the measures, colours, rhythm and name of one building, and the order of its features."""

    archetype: Archetype
    wall: Colour
    trim: Colour
    accent: Colour
    glass: Colour
    bay_m: float
    storey_m: float
    rhythm: tuple[int, ...]
    features: tuple[str, ...]
    name: str


def _kind(
    masonry: str, window: str, bay_m: float, storey_m: float, articulation: str, ground: str, roof: str
) -> Archetype:
    return Archetype(
        masonry=masonry,
        window=window,
        bay_m=bay_m,
        storey_m=storey_m,
        articulation=articulation,
        ground=ground,
        roof=roof,
    )


ARCHETYPES: tuple[Archetype, ...] = (
    _kind("brick", "sash", 3.0, 3.6, "quoins", "stoops", "cornice"),
    _kind("stone", "arched", 4.2, 4.6, "courses", "arcade", "balustrade"),
    _kind("panel", "ribbon", 6.0, 3.7, "none", "shops", "flat"),
    _kind("panel", "curtain", 2.0, 3.5, "none", "lobby", "flat"),
    _kind("concrete", "eggcrate", 3.4, 3.5, "piers", "pilotis", "slab"),
    _kind("stone", "pointed", 3.8, 5.2, "buttresses", "portal", "crenels"),
    _kind("brick", "factory", 5.4, 5.0, "piers", "docks", "sawtooth"),
    _kind("timber", "scattered", 3.6, 3.2, "frame", "stoops", "gables"),
    _kind("brick", "porthole", 4.0, 4.0, "stripes", "portal", "stepped"),
    _kind("stone", "tall", 4.6, 6.0, "columns", "steps", "pediment"),
    _kind("panel", "diagrid", 4.0, 4.0, "none", "lobby", "slant"),
    _kind("concrete", "slits", 3.0, 4.2, "fins", "plinth", "slab"),
    _kind("stucco", "balcony", 4.4, 3.1, "none", "shops", "mansard"),
    _kind("brick", "oriel", 5.0, 3.5, "checker", "shops", "gables"),
)
FEATURES = ("sign", "mural", "clock", "banners", "roundel", "letters", "ivy")
# A campus is built of what its quarries and kilns gave it: colour alone does not tell its buildings apart.
WALL_COLOURS_OF_A_CAMPUS = 4
RHYTHMS = ((1,), (1, 1, 0), (1, 0), (1, 1, 1, 0), (1, 1, 0, 1, 0))


def design_of(seed: int, number: int) -> Design:
    """The design of building `number`: neighbours in number differ in archetype, name and accent."""
    shared = generator(seed, "designs")
    order, names = shared.permutation(len(ARCHETYPES)), shared.permutation(len(NAMES))
    walls, accents = shared.permutation(len(WALL_COLOURS)), shared.permutation(len(ACCENTS))
    rng = generator(seed, "design", number)
    kind = ARCHETYPES[order[number % len(order)]]
    return Design(
        archetype=kind,
        wall=jitter(rng, WALL_COLOURS[int(walls[int(rng.integers(WALL_COLOURS_OF_A_CAMPUS))])], 0.1),
        trim=jitter(rng, TRIM_COLOURS[int(rng.integers(len(TRIM_COLOURS)))], 0.05),
        accent=jitter(rng, ACCENTS[accents[number % len(accents)]], 0.08),
        glass=jitter(rng, (74, 92, 108), 0.2),
        bay_m=kind.bay_m * float(rng.uniform(0.85, 1.2)),
        storey_m=kind.storey_m * float(rng.uniform(0.92, 1.1)),
        rhythm=RHYTHMS[int(rng.integers(len(RHYTHMS)))],
        features=tuple(FEATURES[k] for k in rng.permutation(len(FEATURES))),
        name=NAMES[names[number % len(names)]],
    )
