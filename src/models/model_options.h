// Sizes of the model. Defaults are the paper's: ViT-B/16 and BERT-base.
#pragma once

#include <string_view>

#include "config/describe.h"

namespace vicha {

/// What the image encoder reads of a picture.
enum class PictureInput {
  kPixels,   ///< patches cut out of the picture
  kFeatures  ///< the map of patches that another network, a tower, made of it
};
inline constexpr Choice<PictureInput> kPictureInputNames[] = {{"pixels", PictureInput::kPixels},
                                                              {"features", PictureInput::kFeatures}};

struct PictureInputOptions {
  PictureInput input = PictureInput::kPixels;
  std::int64_t rows = 0, columns = 0, width = 0;

  void describe(Visitor& v) {
    v.choice({.key = "input",
              .meaning = "What the image encoder reads: patches of pixels, or the features of patches that a frozen "
                         "tower gives (data.features)"},
             input, kPictureInputNames);
    v.field({"rows", "patches", "Rows of the tower's map of features; 0: as the store says", 0, 4096}, rows);
    v.field({"columns", "patches", "Columns of that map; 0: as the store says", 0, 4096}, columns);
    v.field({"width", "numbers", "Numbers of a patch's features; 0: as the store says", 0, 1 << 20}, width);
  }
};

struct VitOptions {
  std::int64_t image_res = 256, patch = 16, width = 768, depth = 12, heads = 12;
  PictureInputOptions picture = {};

  bool reads_features() const { return picture.input == PictureInput::kFeatures; }
  /// Patches along a side of a picture of pixels.
  std::int64_t side() const { return image_res / patch; }
  std::int64_t rows() const { return reads_features() ? picture.rows : side(); }
  std::int64_t columns() const { return reads_features() ? picture.columns : side(); }
  std::int64_t patches() const { return rows() * columns(); }
  /// Numbers of a patch: its pixels' samples, or its features.
  std::int64_t patch_numbers() const { return reads_features() ? picture.width : 3 * patch * patch; }
  void describe(Visitor& v) {
    v.field({"image_res", "pixels", "Side of the square picture the model reads", 1, 8192}, image_res);
    v.field({"patch", "pixels", "Side of a patch", 1, 1024}, patch);
    v.field({"width", "channels", "Width of the image encoder", 1, 65536}, width);
    v.field({"depth", "blocks", "Transformer blocks; 0: none, the patches as they are embedded", 0, 1024}, depth);
    v.field({"heads", "", "Attention heads; must divide the width", 1, 1024}, heads);
  }
};

struct TextOptions {
  std::int64_t vocabulary = 30522, max_positions = 512, width = 768, heads = 12, inner = 3072;
  std::int64_t text_layers = 6, fusion_layers = 6;
  double dropout = 0.1;
  std::int64_t pad_id = 0, cls_id = 101, sep_id = 102, mask_id = 103;

  void describe(Visitor& v) {
    v.field({"vocabulary", "words", "Size of the WordPiece vocabulary", 8, 1e7}, vocabulary);
    v.field({"max_positions", "tokens", "Learned positions", 1, 1e6}, max_positions);
    v.field({"width", "channels", "Width of the text and fusion encoders", 1, 65536}, width);
    v.field({"heads", "", "Attention heads; must divide the width", 1, 1024}, heads);
    v.field({"inner", "channels", "Width inside the MLP", 1, 1e6}, inner);
    v.field({"text_layers", "layers", "Layers that read text alone", 1, 1024}, text_layers);
    v.field({"fusion_layers", "layers", "Layers that also look at the picture", 0, 1024}, fusion_layers);
    v.field({"dropout", "", "Dropout of hidden states and attention in BERT", 0, 0.5}, dropout);
    v.field({"pad_id", "", "Token id of [PAD]", 0, 1e7}, pad_id);
    v.field({"cls_id", "", "Token id of [CLS]", 0, 1e7}, cls_id);
    v.field({"sep_id", "", "Token id of [SEP]", 0, 1e7}, sep_id);
    v.field({"mask_id", "", "Token id of [MASK]", 0, 1e7}, mask_id);
  }
};

/// How the fusion layers read a picture beside a text.
enum class FusionKind {
  kCross,  ///< words attend to each other, then to the picture's tokens (cross-attention)
  kJoint   ///< words, class token and regions are one sequence, and all attend to all
};
inline constexpr Choice<FusionKind> kFusionKindNames[] = {{"cross", FusionKind::kCross}, {"joint", FusionKind::kJoint}};

/// How the fusion layers put texts and pictures together.
struct FusionOptions {
  FusionKind kind = FusionKind::kCross;
  std::int64_t images = 1;
  bool similarity = false;

  bool joint() const { return kind == FusionKind::kJoint; }
  void describe(Visitor& v) {
    v.choice(
        {.key = "kind",
         .meaning = "How the fusion layers read a picture: cross-attention to its tokens (the paper's, released "
                    "weights), or joint: one sequence of its class token, its regions (model.regions) and the text, "
                    "in which all attend to all"},
        kind, kFusionKindNames);
    v.field(
        {"images", "pictures",
         "Pictures that a text is read with. kind = cross: each fusion layer stands there as often, a copy for each "
         "picture; the copies share the keys and values of cross-attention. kind = joint: all pictures stand in one "
         "sequence, each marked by a type of its own",
         1, 16},
        images);
    v.field({"similarity", "",
             "The fusion layers are told how like each word and each patch are (kind = joint: each region): the words "
             "objective teaches it, and tasks that count or check what a text says gain by it (released weights: no)"},
            similarity);
  }
};

/// What stands for a region of a picture.
enum class RegionEncoding {
  kPooled,  ///< the image encoder's patches in it, weighted by area
  kCrops    ///< the class token of the region cut out and encoded on its own
};
inline constexpr Choice<RegionEncoding> kRegionEncodingNames[] = {{"pooled", RegionEncoding::kPooled},
                                                                  {"crops", RegionEncoding::kCrops}};

/// A picture's regions: the cells of a grid over it (method, section 4). They cost nothing where nobody reads them.
struct RegionOptions {
  std::int64_t rows = 6, columns = 6;
  RegionEncoding encode = RegionEncoding::kPooled;
  std::int64_t region_size = 64;
  std::int64_t tags = 0, feature_width = 0;

  std::int64_t count() const { return rows * columns; }
  bool crops() const { return encode == RegionEncoding::kCrops; }
  void describe(Visitor& v) {
    v.field({"rows", "regions", "Rows of the grid", 1, 64}, rows);
    v.field({"columns", "regions", "Columns of the grid", 1, 64}, columns);
    v.choice(
        {.key = "encode",
         .meaning = "What stands for a region: pooled, the mean of the image encoder's patches in it, weighted by "
                    "area; or crops, the class token of the region cut out and encoded on its own with its tag (as "
                    "many times the cost as there are regions)"},
        encode, kRegionEncodingNames);
    v.field({"region_size", "pixels",
             "Of encode = crops: side of a region as the image encoder reads it; a multiple of "
             "model.vit.patch",
             1, 8192},
            region_size);
    v.field({"tags", "tags", "Size of the vocabulary of regions' tags; 0: as the data say", 0, 1e7}, tags);
    v.field({"feature_width", "numbers", "Numbers of a region's feature of the concept source; 0: as the data say", 0,
             1 << 20},
            feature_width);
  }
};

struct ConceptOptions {
  bool enabled = true;
  std::int64_t layers = 2;
  bool mask_padding = false;

  void describe(Visitor& v) {
    v.field({"enabled", "", "The image encoder also reads visual concepts"}, enabled);
    v.field({"layers", "layers", "Transformer layers of the concept encoder; 0: bare embeddings", 0, 1024}, layers);
    v.field(
        {"mask_padding", "", "Hide padded concept tokens from the ViT and from cross-attention (released weights: no)"},
        mask_padding);
  }
};

/// Heads of `vicha align` beside the projections of contrast (models/aligned_heads.h).
struct AlignedHeadOptions {
  bool enabled = false;
  std::int64_t image_blocks = 1, image_width_factor = 2, text_blocks = 1, text_width_factor = 2;
  bool normalise_text = false;
  double concept_weight = 0.0;

  void describe(Visitor& v) {
    v.field({"enabled", "",
             "The contrast also reads two heads that `vicha align` trained on the features of the same towers "
             "(init.heads): of a picture the mean of its patches' features, of a text that of its words' states. What "
             "the projections of the class tokens say is added; needs model.image.input = features"},
            enabled);
    v.field({"image_blocks", "", "Residual blocks of the image head; init.heads sets it and the others here", 0, 64},
            image_blocks);
    v.field({"image_width_factor", "", "Width inside a block as a multiple of model.embed_dim", 1, 16},
            image_width_factor);
    v.field({"text_blocks", "", "The same of the text head", 0, 64}, text_blocks);
    v.field({"text_width_factor", "", "The same of the text head", 1, 16}, text_width_factor);
    v.field({"normalise_text", "",
             "The mean of the words' states is given length 1 before the text head, as sentence encoders often do"},
            normalise_text);
    v.field(
        {"concept_weight", "",
         "A picture's concepts, read as a text by text encoder and text head, are added to what the image head says "
         "of it with this weight (each of the two has length 1); 0: they are not, and cost nothing",
         0, 100},
        concept_weight);
  }
};

struct ModelOptions {
  VitOptions vit;
  TextOptions text;
  FusionOptions fusion;
  RegionOptions regions;
  ConceptOptions concepts;
  AlignedHeadOptions heads;
  std::int64_t embed_dim = 256, queue_size = 65536;
  double temperature = 0.07, momentum = 0.995;

  void describe(Visitor& v) {
    v.section("vit", "Image encoder", vit);
    v.section("image", "What the image encoder reads", vit.picture);
    v.section("text", "Text and fusion encoders (BERT)", text);
    v.section("fusion", "Fusion of texts with pictures", fusion);
    v.section("regions", "Regions of a picture", regions);
    v.section("concepts", "Visual concepts", concepts);
    v.section("heads", "Aligned heads beside the projections of contrast", heads);
    v.field({"embed_dim", "channels", "Size of the common embedding of pictures and texts", 1, 65536}, embed_dim);
    v.field({"queue_size", "features", "Momentum features kept as negatives", 1, 1e9}, queue_size);
    v.field({"temperature", "", "Where the learned temperature starts", 0.001, 0.5}, temperature);
    v.field({"momentum", "", "Share of the momentum model kept at each step", 0, 1}, momentum);
  }
  /// Throws UsageError naming the keys that do not fit together.
  void check() const;
};

/// Throws UsageError unless the model reads one picture with a text, as `what` does ("pretraining").
void require_one_image(const ModelOptions& options, std::string_view what);

}  // namespace vicha
