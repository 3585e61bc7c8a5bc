// The two kinds of configuration that come with CLIP weights.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/error.h"
#include "models/clip_options.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

/// Reads fields of one object, naming the file and the key when something is wrong.
class Reader {
 public:
  Reader(const Json& object, std::string path, std::string_view where)
      : object_(object), path_(std::move(path)), where_(where) {
    if (!object.is_object()) throw DataError(where_, fmt::format("'{}' is no object", path_));
  }

  template <class T>
  std::optional<T> get(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return std::nullopt;
    try {
      // nlohmann makes a whole number of any number.
      if (!std::is_same_v<T, std::int64_t> || found->is_number_integer()) return found->get<T>();
    } catch (const Json::exception&) {
    }
    throw DataError(where_, fmt::format("'{}.{}' has a value of the wrong kind", path_, key));
  }

  /// A size that the shapes have told already.
  void expect(const char* key, std::int64_t told) const {
    const auto said = get<std::int64_t>(key);
    if (said && *said != told) {
      throw DataError(where_, fmt::format("'{}.{}' is {}, but the weights' shapes say {}", path_, key, *said, told),
                      "The configuration belongs to other weights");
    }
  }

 private:
  const Json& object_;
  std::string path_;
  std::string_view where_;
};

const Json kNothing = Json::object();

const Json& member(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? kNothing : *found;
}

Activation activation_of(const std::string& name, std::string_view where) {
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "gelu") return Activation::kGelu;
  throw DataError(where, fmt::format("the activation '{}' is not one of quick_gelu, gelu", name));
}

void hugging_face_tower(ClipTowerOptions& tower, const Reader& json, std::string_view where) {
  json.expect("hidden_size", tower.width);
  json.expect("num_hidden_layers", tower.depth);
  json.expect("intermediate_size", tower.inner);
  tower.heads = json.get<std::int64_t>("num_attention_heads").value_or(tower.heads);
  tower.eps = json.get<double>("layer_norm_eps").value_or(tower.eps);
  tower.activation = activation_of(json.get<std::string>("hidden_act").value_or("quick_gelu"), where);
}

void apply_hugging_face(ClipOptions& options, const Json& json, std::string_view where) {
  const Reader text(member(json, "text_config"), "text_config", where),
      vision(member(json, "vision_config"), "vision_config", where), whole(json, "config", where);
  hugging_face_tower(options.text, text, where);
  hugging_face_tower(options.vision, vision, where);
  whole.expect("projection_dim", options.embed);
  text.expect("vocab_size", options.vocabulary);
  text.expect("max_position_embeddings", options.context);
  vision.expect("image_size", options.image_res);
  vision.expect("patch_size", options.patch);
  options.end_id = text.get<std::int64_t>("eos_token_id");
  // transformers' first configurations had a wrong end id, 2, and its code takes the largest id where it sees that.
  if (options.end_id == 2) options.end_id.reset();
}

void apply_open_clip(ClipOptions& options, const Json& json, std::string_view where) {
  const Json& model = json.contains("model_cfg") ? json.at("model_cfg") : json;
  const Reader whole(model, "model_cfg", where), text(member(model, "text_cfg"), "text_cfg", where),
      vision(member(model, "vision_cfg"), "vision_cfg", where);
  whole.expect("embed_dim", options.embed);
  vision.expect("width", options.vision.width);
  vision.expect("layers", options.vision.depth);
  vision.expect("image_size", options.image_res);
  vision.expect("patch_size", options.patch);
  text.expect("width", options.text.width);
  text.expect("layers", options.text.depth);
  text.expect("vocab_size", options.vocabulary);
  text.expect("context_length", options.context);
  const std::int64_t head_width = vision.get<std::int64_t>("head_width").value_or(64);
  if (head_width <= 0) throw DataError(where, "'vision_cfg.head_width' is not positive");
  options.vision.heads = options.vision.width / head_width;
  options.text.heads = text.get<std::int64_t>("heads").value_or(options.text.heads);
  const bool quick = whole.get<bool>("quick_gelu").value_or(false);
  options.text.activation = options.vision.activation = quick ? Activation::kQuickGelu : Activation::kGelu;
  options.end_id.reset();  // open_clip pools at the largest id
}

bool is_hugging_face(const Json& json) {
  return json.is_object() && json.contains("vision_config") && json.contains("text_config");
}
bool is_open_clip(const Json& json) {
  if (!json.is_object()) return false;
  const Json& model = json.contains("model_cfg") ? json.at("model_cfg") : json;
  return model.is_object() && model.contains("vision_cfg") && model.contains("text_cfg");
}

}  // namespace

bool is_clip_config(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  return is_hugging_face(json) || is_open_clip(json);
}

void apply_clip_config(ClipOptions& options, std::string_view text, std::string_view where) {
  const Json json = Json::parse(text, nullptr, false);
  if (is_hugging_face(json)) return apply_hugging_face(options, json, where);
  if (is_open_clip(json)) return apply_open_clip(options, json, where);
  throw DataError(where,
                  "is no configuration of a CLIP: neither Hugging Face's (text_config, vision_config) nor "
                  "open_clip's (model_cfg)");
}

}  // namespace vicha
