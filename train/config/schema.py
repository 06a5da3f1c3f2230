"""What a training run is made of: one model of named values per method, each with its bounds and its meaning."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from img2gps.pixels import Fit, PixelSpec

__all__ = ["CONFIGS", "MOST_EPOCHS", "AnyConfig", "NetworkConfig", "ProbeConfig", "TrainConfig"]

Method = Literal["network", "probe"]
Head = Literal["linear", "mlp"]
Target = Literal["degrees", "metres"]
Loss = Literal["mse", "huber"]
Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["step", "cosine", "constant"]
Labels = Literal["gps", "refined"]
Answer = Literal["mean", "median", "mode"]

MOST_EPOCHS: Final = 1_000_000


class TrainConfig(BaseModel):
    """The choices that both methods read; `NetworkConfig` and `ProbeConfig` add their own.

    Called itself it makes the config of the method that is named: ``TrainConfig(method="probe", seed=1)`` is a
    `ProbeConfig`, ``TrainConfig()`` a `NetworkConfig`. `train.config.presets` has sets of choices that belong together;
    `preset` here is their name alone and sets no other field.
    With the dataset, the device, the thread count and the version of torch a config determines the weights.
    Lengths are in pixels and metres, rates per epoch. Raises `pydantic.ValidationError` for a wrong name or value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    preset: str = Field(default="default", description="The set of choices that it began with.")
    method: Method = Field(
        default="network", description="A network trained end to end, or light heads on frozen features."
    )
    model: str = Field(
        default="resnet18",
        description="A torchvision network or timm/NAME; a probe takes several, joined by +, at will with @PIXELS.",
    )
    weights: str = Field(default="none", description="First weights: imagenet, bundled, none, or a file.")
    size: int = Field(default=224, ge=16, le=4096, description="Short side of the input in pixels.")
    aspect: float = Field(
        default=1.0,
        ge=0.2,
        le=5.0,
        description="Height over width of the input: 1 square, 4/3 the upright photo of a phone.",
    )
    fit: Fit = Field(
        default="squash", description="What happens to photos of another aspect: stretched, or padded with grey."
    )
    head: Head = Field(default="linear", description="One linear layer, or one hidden layer before it.")
    hidden: int = Field(default=256, ge=1, le=65536, description="Width of the hidden layer.")
    dropout: float = Field(
        default=0.0, ge=0.0, le=0.99, description="Share of the head's inputs that each step leaves out."
    )
    lr: float = Field(default=1e-3, ge=1e-12, le=1e6, description="Highest learning rate.")
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e3, description="Weight decay of the optimiser.")
    epochs: int = Field(default=15, ge=1, le=MOST_EPOCHS, description="Times that every training photo is seen.")
    batch_size: int = Field(default=16, ge=1, le=1_000_000, description="Photos per step.")
    labels: Labels = Field(
        default="gps",
        description="What is learned: positions as phones and people gave them, or refined ones.",
    )
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="The same seed, the same weights.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    threads: int = Field(default=0, ge=0, le=4096, description="CPU threads of torch; 0 for torch's own choice.")

    def __new__(cls, /, **values: Any) -> Self:
        """Return an instance of the model of `method`, which pydantic then fills."""
        # an unknown method is the network's to refuse
        kind: Any = CONFIGS.get(str(values.get("method")), NetworkConfig) if cls is TrainConfig else cls
        made: Self = super().__new__(kind)
        return made

    @property
    def pixels(self) -> PixelSpec:
        """The input of the model: the short side is `size`, the other follows from `aspect`."""
        long_side = round(self.size * max(self.aspect, 1 / self.aspect))
        height, width = (long_side, self.size) if self.aspect >= 1 else (self.size, long_side)
        return PixelSpec(height=height, width=width, fit=self.fit)


class NetworkConfig(TrainConfig):
    """A network trained end to end to name coordinates."""

    method: Literal["network"] = "network"
    target: Target = Field(default="metres", description="What the network learns: scaled metres, or scaled degrees.")
    loss: Loss = Field(default="mse", description="Mean squared error, or Huber's loss.")
    huber_delta_m: float = Field(
        default=10.0, ge=1e-3, le=1e6, description="Error from which on Huber's loss grows in proportion."
    )
    optimizer: Optimizer = Field(default="adam", description="The optimiser.")
    schedule: Schedule = Field(default="constant", description="How the rate of learning falls.")
    step_epochs: int = Field(default=5, ge=1, le=1_000_000, description="Epochs per step of the schedule step.")
    step_gamma: float = Field(default=0.1, ge=1e-9, le=1.0, description="Factor per step of the schedule step.")
    warmup_epochs: float = Field(default=0.0, ge=0.0, le=1_000_000, description="Epochs in which the rate climbs.")
    val_batch_size: int = Field(default=32, ge=1, le=1_000_000, description="Photos per step of validation.")
    freeze: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of the backbone's stages, from the input on, that stay as they are: "
        "0 trains all, 1 only the head.",
    )
    freeze_batchnorm: bool = Field(default=False, description="Keep the statistics of batch normalisation as they are.")
    layer_lr_decay: float = Field(
        default=1.0, ge=1e-3, le=1.0, description="Factor on the rate per stage of the backbone, from the head down."
    )
    ema: float = Field(
        default=0.0,
        ge=0.0,
        le=0.99999,
        description="Decay per step of the running mean of the weights that is kept as the model; 0 for none.",
    )
    grad_clip: float = Field(default=0.0, ge=0.0, le=1e12, description="Largest norm of the gradient; 0 for no limit.")
    augment_crop: float = Field(
        default=0.0, ge=0.0, le=0.9, description="Share of each side that a random crop may cut off."
    )
    augment_rotate_deg: float = Field(default=0.0, ge=0.0, le=45.0, description="Largest random rotation.")
    augment_colour: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Strength of random brightness, contrast and saturation."
    )
    cuda_graphs: bool = Field(
        default=True, description="Replay whole batches from CUDA graphs where the device and the network allow it."
    )


class ProbeConfig(TrainConfig):
    """Heads fitted to what frozen networks say of a photo, and at will last stages that learn the site."""

    method: Literal["probe"] = "probe"
    heads: str = Field(
        default="neighbours+heat_map",
        description="The heads (neighbours, heat_map, regression) whose distributions are multiplied, joined by +.",
    )
    exponent: float = Field(
        default=1.0, ge=1e-3, le=10.0, description="On the product; below 1 the heads count as saying partly the same."
    )
    answer: Answer = Field(
        default="median",
        description="The point of the distribution: its mean, its geometric median (least expected distance) "
        "or its mode.",
    )
    cell_m: float = Field(
        default=4.0, ge=0.1, le=1e6, description="Side of the cells; larger where the site would have over 20,000."
    )
    reach_m: float = Field(default=14.0, ge=0.0, le=1e6, description="Cells reach this far from the training photos.")
    whiten_dims: int = Field(default=512, ge=1, le=65536, description="Most dimensions that whitening keeps.")
    whiten_power: float = Field(
        default=0.35,
        ge=0.0,
        le=0.5,
        description="Eigenvalue ** power divides each principal axis: 0.5 whitens fully, 0 not at all. "
        "Only without learnt pairs.",
    )
    own_statistics: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Share of a photo's own mean and variance in the later half of the batch normalisations.",
    )
    even_light: bool = Field(
        default=True, description="Take off pooled features what the brightness of a photo alone foretells of them."
    )
    even_density: bool = Field(
        default=True,
        description="Divide the product by how many training photos were taken near, which every head has in it.",
    )
    pair_m: float = Field(
        default=10.0,
        ge=0.0,
        le=1e6,
        description="Photos of two walks no further apart may show one view, and teach what likeness is; "
        "0 learns no metric.",
    )
    neighbours: int = Field(default=20, ge=1, le=1_000_000, description="Photos that carry the density.")
    shortlist: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Photos, most alike by pooled features, that are compared by local ones too; 0 compares none.",
    )
    temperature: float = Field(
        default=0.75, ge=1e-3, le=1e3, description="Of the softmax over similarities, in their standard deviations."
    )
    bandwidth_m: float = Field(
        default=12.0,
        ge=0.1,
        le=1e6,
        description="Standard deviation of the kernel around each neighbour's position; two thirds of it where labels "
        "were refined.",
    )
    floor: float = Field(
        default=1e-4, ge=1e-12, le=1.0, description="Share of the neighbours' density that lies anywhere."
    )
    label_sigma_m: float = Field(
        default=10.0,
        ge=0.1,
        le=1e6,
        description="Standard deviation of the soft labels over the cells; two thirds of it where labels were refined.",
    )
    exact_photos: int = Field(
        default=4096,
        ge=1,
        le=1_000_000_000,
        description="Up to so many training photos all are compared with all, at full precision. "
        "Beyond, an index finds the best, and the gallery takes a quarter of the space.",
    )
    heat_seeds: int = Field(default=1, ge=1, le=100, description="Heat maps that are trained and averaged.")
    mixup: float = Field(
        default=0.4,
        ge=0.0,
        le=100.0,
        description="Parameter of the beta distribution that mixes pairs of photos for the heat map; 0 mixes none.",
    )
    tune_epochs: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Epochs in which the last two stages of a copy of the last network learn the site; 0 adds none.",
    )
    tune_batch_size: int = Field(
        default=96,
        ge=2,
        le=1_000_000,
        multiple_of=2,
        description="Photos per step of tuning: half of them, and their partners.",
    )
    tune_lr: float = Field(default=3e-4, ge=1e-12, le=1e6, description="Highest rate of the tuned stages.")
    tune_new_lr: float = Field(default=2e-3, ge=1e-12, le=1e6, description="Highest rate of the layers on top of them.")
    tune_weight_decay: float = Field(default=0.05, ge=0.0, le=1e3, description="Weight decay of tuning.")
    tune_rise: float = Field(default=0.15, ge=0.01, le=0.99, description="Share of the steps in which the rates climb.")
    tune_dropout: float = Field(
        default=0.3, ge=0.0, le=0.99, description="Dropout before the layer that names the cell."
    )
    tune_scale: float = Field(
        default=16.0,
        ge=1e-3,
        le=1e6,
        description="Length of the vectors that the layers on top of the tuned stages read.",
    )
    tune_place_share: float = Field(
        default=0.5,
        ge=0.0,
        le=1e3,
        description="Weight of the loss that names the place, beside the one that compares.",
    )
    tune_temperature: float = Field(default=0.07, ge=1e-3, le=1e3, description="Of the softmax over cosines of views.")
    tune_near_m: float = Field(
        default=17.0, ge=0.0, le=1e6, description="Photos of another walk that count as alike, the nearer the more."
    )
    tune_near_sigma_m: float = Field(
        default=8.0, ge=1e-3, le=1e6, description="Standard deviation of how alike they count."
    )
    tune_far_m: float = Field(
        default=30.0,
        ge=0.0,
        le=1e6,
        description="Photos that count as different; for those in between, labels are too uncertain.",
    )
    tune_least_alike: float = Field(
        default=0.3,
        ge=0.0,
        le=1e6,
        description="Sum of its likenesses from which on a photo takes part in the comparison.",
    )


CONFIGS: Final[dict[str, type[NetworkConfig] | type[ProbeConfig]]] = {"network": NetworkConfig, "probe": ProbeConfig}
"""The model of each method."""

AnyConfig = Annotated[NetworkConfig | ProbeConfig, Field(discriminator="method")]
"""Either, told apart by `method`."""
