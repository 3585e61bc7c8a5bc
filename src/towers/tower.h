// Towers: networks that turn pictures, or texts, into vectors, read from released weights. Inference only. Products run
// in the type that nn/precision says. What a tower wants to be fed is said by its `input`; reading pictures and cutting
// texts into tokens is left to rooms that have the libraries for it. B pictures, H x W pixels, N patches in `rows`
// times `columns`, D width of a patch, P width of the pooled feature, n texts.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vicha {

/// How a picture is put before a tower: RGB, resized, its centre cut out, samples of 0 to 1 normalised.
struct TowerInput {
  enum class Interpolation { kNearest, kBilinear, kBicubic, kLanczos };  ///< Pillow's, antialiased
  enum class Resize {
    kExact,    ///< to resize_height x resize_width, whatever the picture's proportions
    kShorter,  ///< the shorter side to resize_height (which equals resize_width), the proportions kept
  };

  std::int64_t height = 224, width = 224;  ///< of the cut-out: what the tower reads by default, pixels
  Resize resize = Resize::kShorter;
  std::int64_t resize_height = 224, resize_width = 224;
  Interpolation interpolation = Interpolation::kBicubic;
  std::array<double, 3> mean = {0.5, 0.5, 0.5}, std = {0.5, 0.5, 0.5};
  /// Side of a patch: `encode` takes other sizes too, of at least one patch, and leaves out pixels beyond the last
  /// whole patch. 0: it takes no other size.
  std::int64_t multiple = 0;

  /// On one line, all of it: "shorter side 256 bicubic, centre 224x224, mean 0.5 0.5 0.5, std 0.5 0.5 0.5".
  std::string describe() const;
};

/// What features of a tower depend on besides the picture or text; plain data for stores (SourceWeights).
struct TowerIdentity {
  std::string kind;    ///< "vit", "dinov2", "siglip", "clip", "torchscript", "bert"
  std::string name;    ///< for people: "ViT-B/14, 87 M parameters"
  std::string sha256;  ///< of the tensors' names, shapes and fp32 values, and of the settings that decide on results
  std::string view;    ///< TowerInput::describe(); of a text tower, how texts are cut
};

struct TowerFeatures {
  at::Tensor pooled_BP;    ///< fp32, on the tower's device, not normalised
  at::Tensor patches_BND;  ///< fp32; undefined unless asked for
  std::int64_t rows = 0, columns = 0;
};

/// Any number of threads may call `encode` of one.
class ImageTower {
 public:
  virtual ~ImageTower() = default;
  const TowerInput& input() const { return input_; }
  const TowerIdentity& identity() const { return identity_; }

  virtual std::int64_t pooled_width() const = 0;  ///< P
  virtual std::int64_t patch_width() const = 0;   ///< D; 0: it gives no patches
  virtual std::int64_t batch() const = 0;         ///< pictures that best go through together: on a CPU, of one thread
  /// Pixels (B, 3, H, W), normalised. On a CPU each thread carries its share of the pictures through the whole tower;
  /// called from inside of a parallel region, it runs on the calling thread alone. Throws DataError on pixels of a
  /// shape that it does not take, and if patches are asked of a tower that gives none.
  virtual TowerFeatures encode(const at::Tensor& pixels, bool patches) const = 0;
  virtual void to(const at::Device& device) = 0;
  virtual at::Device device() const = 0;

 protected:
  ImageTower() = default;
  TowerInput input_;
  TowerIdentity identity_;
};

/// How a text becomes the ids that a text tower reads.
struct TextInput {
  enum class Tokenizer {
    kWordPiece,  ///< BERT's: [CLS] … [SEP]
    kClipBpe,    ///< CLIP's: <|startoftext|> … <|endoftext|>
  };
  Tokenizer tokenizer = Tokenizer::kWordPiece;
  std::filesystem::path vocabulary;  ///< the file beside the weights; empty: there is none
  std::int64_t vocabulary_size = 0;
  std::int64_t max_tokens = 0;  ///< framing included; longer texts are cut
  bool lower_case = true;       ///< word pieces are of lower-cased text without accents

  std::string describe() const;
};

/// Any number of threads may call `encode` of one.
class TextTower {
 public:
  virtual ~TextTower() = default;
  const TextInput& input() const { return input_; }
  const TowerIdentity& identity() const { return identity_; }

  virtual std::int64_t width() const = 0;  ///< P
  /// Ids of each text, framing included, no padding -> (n, P), fp32, on the tower's device. Rows have length 1 where
  /// the model's own files say that they are normalised. Threads as in ImageTower::encode. Throws DataError on an empty
  /// text, on too many tokens and on ids out of the vocabulary.
  virtual at::Tensor encode(const std::vector<std::vector<std::int64_t>>& ids) const = 0;
  virtual void to(const at::Device& device) = 0;
  virtual at::Device device() const = 0;

 protected:
  TextTower() = default;
  /// What every `encode` asks first.
  void check_ids(const std::vector<std::vector<std::int64_t>>& ids) const;
  TextInput input_;
  TowerIdentity identity_;
};

}  // namespace vicha
