// The two kinds of configuration that come with CLIP weights. What each key means was read off transformers' CLIPConfig
// and open_clip's CLIPVisionCfg and CLIPTextCfg.
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/json_depth.h"
#include "base/settings_json.h"
#include "models/clip_options.h"
#include "models/clip_settings.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

/// What every configuration of transformers may hold, and training's own.
constexpr std::initializer_list<const char*> kOfAnyConfig = {"_attn_implementation_autoset",
                                                             "_commit_hash",
                                                             "_name_or_path",
                                                             "add_cross_attention",
                                                             "architectures",
                                                             "attention_dropout",
                                                             "attn_implementation",
                                                             "bad_words_ids",
                                                             "begin_suppress_tokens",
                                                             "bos_token_id",
                                                             "chunk_size_feed_forward",
                                                             "cross_attention_hidden_size",
                                                             "decoder_start_token_id",
                                                             "diversity_penalty",
                                                             "do_sample",
                                                             "dropout",
                                                             "dtype",
                                                             "early_stopping",
                                                             "encoder_no_repeat_ngram_size",
                                                             "exponential_decay_length_penalty",
                                                             "finetuning_task",
                                                             "forced_bos_token_id",
                                                             "forced_eos_token_id",
                                                             "gradient_checkpointing",
                                                             "id2label",
                                                             "initializer_factor",
                                                             "initializer_range",
                                                             "is_decoder",
                                                             "is_encoder_decoder",
                                                             "label2id",
                                                             "length_penalty",
                                                             "logit_scale_init_value",
                                                             "max_length",
                                                             "min_length",
                                                             "no_repeat_ngram_size",
                                                             "num_beam_groups",
                                                             "num_beams",
                                                             "num_return_sequences",
                                                             "output_attentions",
                                                             "output_hidden_states",
                                                             "output_scores",
                                                             "pad_token_id",
                                                             "prefix",
                                                             "problem_type",
                                                             "pruned_heads",
                                                             "remove_invalid_values",
                                                             "repetition_penalty",
                                                             "return_dict",
                                                             "return_dict_in_generate",
                                                             "sep_token_id",
                                                             "suppress_tokens",
                                                             "task_specific_params",
                                                             "temperature",
                                                             "tf_legacy_loss",
                                                             "tie_encoder_decoder",
                                                             "tie_word_embeddings",
                                                             "tokenizer_class",
                                                             "top_k",
                                                             "top_p",
                                                             "torch_dtype",
                                                             "torchscript",
                                                             "transformers_version",
                                                             "typical_p",
                                                             "use_bfloat16",
                                                             "use_cache"};

void hugging_face_tower(ClipTowerOptions& tower, ClipSettings& json) {
  json.expect("hidden_size", tower.width);
  json.expect("num_hidden_layers", tower.depth);
  json.expect("intermediate_size", tower.inner);
  tower.heads = json.whole("num_attention_heads").value_or(tower.heads);
  tower.eps = json.number("layer_norm_eps").value_or(tower.eps);
  json.only("hidden_act", {"quick_gelu", "gelu"});
  tower.activation = json.text("hidden_act") == "gelu" ? Activation::kGelu : Activation::kQuickGelu;
  json.unset({"quantization_config"});
  json.pass(kOfAnyConfig);
  json.pass({"projection_dim", "model_type"});  // the whole configuration's decides
}

void apply_hugging_face(ClipOptions& options, const Json& json, std::string_view where) {
  ClipSettings whole(json, "", where);
  whole.only("model_type", {"clip"});
  // As transformers does: where there are two of them, the one called _dict is the tower's, absent keys included.
  const char* text_key = whole.has("text_config_dict") ? "text_config_dict" : "text_config";
  const char* vision_key = whole.has("vision_config_dict") ? "vision_config_dict" : "vision_config";
  ClipSettings text = whole.inside(text_key), vision = whole.inside(vision_key);
  hugging_face_tower(options.text, text);
  hugging_face_tower(options.vision, vision);
  whole.expect("projection_dim", options.embed);
  whole.unset({"quantization_config"});
  whole.pass(kOfAnyConfig);
  whole.pass({"text_config", "vision_config", "text_config_dict", "vision_config_dict", "eos_token_id"});
  text.expect("vocab_size", options.vocabulary);
  text.expect("max_position_embeddings", options.context);
  vision.expect_side("image_size", options.image_res);
  vision.expect_side("patch_size", options.patch);
  vision.only("num_channels", {3});
  vision.pass({"eos_token_id"});
  options.end_id = text.whole("eos_token_id");
  // transformers' first configurations had a wrong end id, 2, and its code takes the largest id where it sees that.
  if (options.end_id == 2) options.end_id.reset();
  for (const ClipSettings* settings : {&whole, &text, &vision}) settings->warn_of_rest();
}

/// What open_clip's two towers have alike.
void open_clip_tower(ClipTowerOptions& tower, ClipSettings& json) {
  json.expect("width", tower.width);
  json.expect("layers", tower.depth);
  if (const auto ratio = json.number("mlp_ratio")) {
    const auto inner = static_cast<std::int64_t>(static_cast<double>(tower.width) * *ratio);
    if (inner != tower.inner)
      json.refuse("mlp_ratio",
                  fmt::format("what the weights' shapes say: {} for a width of {}", tower.inner, tower.width));
  }
  if (json.has("norm_kwargs")) {
    ClipSettings norm = json.inside("norm_kwargs");
    tower.eps = norm.number("eps").value_or(tower.eps);
    norm.only("elementwise_affine", {true});
    norm.only("bias", {true});
    norm.warn_of_rest();
  }
  if (json.has("act_kwargs")) {
    ClipSettings act = json.inside("act_kwargs");
    act.only("approximate", {"none"});
    act.warn_of_rest();
  }
  json.only("block_type", {"default"});
  json.unset(
      {"ls_init_value", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"});
  json.pass({"norm_kwargs", "act_kwargs", "output_tokens"});
}

void open_clip_vision(ClipOptions& options, ClipSettings& json) {
  json.unset({"timm_model_name"});
  if (json.value("layers").is_array()) json.refuse("layers", "a ViT; this is a ResNet");
  open_clip_tower(options.vision, json);
  json.expect_side("image_size", options.image_res);
  json.expect_side("patch_size", options.patch);
  const std::int64_t head_width = json.whole("head_width").value_or(64);
  if (head_width <= 0) json.refuse("head_width", "a positive one");
  options.vision.heads = options.vision.width / head_width;
  json.unset({"attentional_pool", "no_ln_pre", "input_patchnorm"});
  json.only("pos_embed_type", {"learnable", "sin_cos_2d"});  // either way the weights hold the table
  json.only("pool_type", {"tok", "avg"});
  options.norm_after_pool = json.flag("final_ln_after_pool").value_or(false);
  options.image_pool = json.text("pool_type") == "avg" ? ImagePool::kPatches : ImagePool::kClassToken;
  // Until 2023 open_clip had this key, and took the mean of all tokens before the norm.
  if (json.flag("global_average_pool").value_or(false)) {
    options.image_pool = ImagePool::kAllTokens;
    options.norm_after_pool = true;
  }
  json.pass({"patch_dropout", "attn_pooler_queries", "attn_pooler_heads", "image_seq_len", "timm_model_pretrained",
             "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path", "timm_model_kwargs"});
}

void open_clip_text(ClipOptions& options, ClipSettings& json) {
  json.unset({"hf_model_name"});
  json.only("text_arch", {"clip"});
  // Other tokenizers split texts otherwise; that of OpenAI's models is the one that is built here.
  const std::string tokenizer = json.text("hf_tokenizer_name").value_or("");
  if (!tokenizer.empty() && !tokenizer.starts_with("openai/clip-"))
    json.refuse("hf_tokenizer_name", "CLIP's own (\"openai/clip-...\", or none)");
  if (json.has("tokenizer_kwargs")) {
    ClipSettings how = json.inside("tokenizer_kwargs");
    how.only("clean", {"lower"});
    how.unset({"strip_sep_token"});
    how.warn_of_rest();
  }
  json.unset({"tokenizer_mode", "tokenizer_type"});
  open_clip_tower(options.text, json);
  json.expect("vocab_size", options.vocabulary);
  json.expect("context_length", options.context);
  options.text.heads = json.whole("heads").value_or(options.text.heads);
  json.unset({"embed_cls", "proj_bias", "variable_text", "attn_gated", "pre_norm", "reg_tokens", "value_residual"});
  json.only("proj_type", {"linear"});
  json.only("norm_type", {"layernorm"});
  options.text_causal = !json.flag("no_causal_mask").value_or(false);
  json.only("pool_type", {"argmax", "eos", "first", "last"});
  const std::string pool = json.text("pool_type").value_or("argmax");
  options.text_pool = pool == "first" ? TextPool::kFirst : pool == "last" ? TextPool::kLast : TextPool::kEnd;
  options.end_id.reset();  // "argmax": the largest id
  if (pool == "eos") {
    options.end_id = json.whole("eos_id");
    if (!options.end_id) json.refuse("eos_id", "\"pool_type\" eos with the id that ends a text");
  }
  // Texts are padded with 0, which counts where a text is read beyond its end.
  const std::int64_t padding = json.whole("pad_id").value_or(0);
  if (padding != 0 && options.reads_padding()) json.refuse("pad_id", "0");
  // A norm of each row and the choice of one of them may change places.
  json.pass({"final_ln_after_pool", "eos_id", "bos_id", "tiktoken_name", "tokenizer_kwargs", "hf_model_pretrained",
             "hf_proj_type", "hf_pooler_type", "hf_model_config", "attention_mode", "pos_embed", "rope_temperature",
             "mlp_type", "norm_eps", "norm_placement", "zero_init_residual", "attention_bias", "mlp_bias",
             "gate_bias"});
}

void apply_open_clip(ClipOptions& options, const Json& json, std::string_view where) {
  const bool wrapped = json.contains("model_cfg");
  ClipSettings whole(wrapped ? json.at("model_cfg") : json, wrapped ? "model_cfg" : "", where);
  ClipSettings text = whole.inside("text_cfg"), vision = whole.inside("vision_cfg");
  whole.expect("embed_dim", options.embed);
  const bool quick = whole.flag("quick_gelu").value_or(false);
  options.text.activation = options.vision.activation = quick ? Activation::kQuickGelu : Activation::kGelu;
  whole.unset({"multimodal_cfg", "audio_cfg", "naflexvit_cfg", "genlip_cfg", "genlap_cfg", "init_logit_bias"});
  whole.pass(
      {"custom_text", "init_logit_scale", "nonscalar_logit_scale", "output_dict", "cast_dtype", "preprocess_cfg"});
  open_clip_vision(options, vision);
  open_clip_text(options, text);
  for (const ClipSettings* settings : {&whole, &text, &vision}) settings->warn_of_rest();
}

bool is_hugging_face(const Json& json) {
  return json.is_object() && json.contains("vision_config") && json.contains("text_config");
}
bool is_open_clip(const Json& json) {
  if (!json.is_object()) return false;
  const Json& model = json.contains("model_cfg") ? json.at("model_cfg") : json;
  return model.is_object() && model.contains("vision_cfg") && model.contains("text_cfg");
}

/// Values are shown in messages, by recursion.
Json read_settings(std::string_view text) { return nests_deeper(text) ? Json() : Json::parse(text, nullptr, false); }

}  // namespace

bool is_clip_config(std::string_view text) {
  const Json json = read_settings(text);
  return is_hugging_face(json) || is_open_clip(json);
}

void apply_clip_config(ClipOptions& options, std::string_view text, std::string_view where) {
  const Json json = settings_object(text, where);
  if (is_hugging_face(json)) return apply_hugging_face(options, json, where);
  if (is_open_clip(json)) return apply_open_clip(options, json, where);
  throw DataError(where,
                  "is not a configuration of a CLIP: neither Hugging Face's (text_config, vision_config) nor "
                  "open_clip's (model_cfg)");
}

}  // namespace vicha
