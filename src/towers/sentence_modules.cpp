#include "towers/sentence_modules.h"

#include "towers/json_fields.h"

namespace vicha::towers {
namespace {

TextPooling pooling_of(const fs::path& file) {
  const Json json = parse_object(read_small(file), file.string());
  const Fields fields(json, file.string());
  if (fields.has("pooling_mode")) {  // newer files say it by one word
    const auto mode = fields.get_or<std::string>("pooling_mode", "");
    if (mode == "mean") return TextPooling::kMean;
    if (mode == "cls") return TextPooling::kClass;
    fields.refuse("pooling_mode", "built are mean and cls");
  }
  std::vector<std::string> modes;
  for (const auto& [key, value] : json.items()) {
    if (key.starts_with("pooling_mode_") && value == true) modes.push_back(key);
  }
  if (modes.size() == 1 && modes[0] == "pooling_mode_mean_tokens") return TextPooling::kMean;
  if (modes.size() == 1 && modes[0] == "pooling_mode_cls_token") return TextPooling::kClass;
  std::string list;
  for (const std::string& mode : modes) list += (list.empty() ? "" : ", ") + mode;
  throw DataError(file.string(),
                  fmt::format("pools by {}: built are pooling_mode_mean_tokens and pooling_mode_cls_token, "
                              "one of the two",
                              list.empty() ? "nothing" : list));
}

DenseFiles dense_of(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  const Json json = parse_object(read_small(file), file.string());
  const Fields fields(json, file.string());
  const auto activation = fields.get_or<std::string>("activation_function", "torch.nn.modules.activation.Tanh");
  if (activation.ends_with(".Tanh")) return {folder, true};
  if (activation.ends_with(".Identity")) return {folder, false};
  fields.refuse("activation_function", "built are Tanh and Identity");
}

/// A name of a folder below the model's, as modules.json has it.
fs::path below(const fs::path& folder, const std::string& name, const fs::path& file) {
  const fs::path part = fs::path(name).lexically_normal();
  if (part.is_absolute() || (!part.empty() && *part.begin() == "..")) {
    throw DataError(file.string(), fmt::format("names '{}', which is not below the model's folder", name));
  }
  return folder / part;
}

void read_module(SentenceModules& modules, const Json& entry, const fs::path& folder, const fs::path& file) {
  if (!entry.is_object()) throw DataError(file.string(), "is not a list of modules");
  const Fields fields(entry, file.string());
  const auto type = fields.get_or<std::string>("type", "");
  const std::string name = type.substr(type.rfind('.') + 1);
  const fs::path path = below(folder, fields.get_or<std::string>("path", ""), file);
  if (modules.normalize) {
    throw DataError(file.string(), fmt::format("has '{}' behind Normalize: that must be the last module", type));
  }
  if (name == "Transformer") return;
  if (name == "Pooling") {
    modules.pooling = pooling_of(path / "config.json");
  } else if (name == "Dense") {
    modules.dense.push_back(dense_of(path));
  } else if (name == "Normalize") {
    modules.normalize = true;
  } else if (name != "Dropout") {
    throw DataError(file.string(),
                    fmt::format("has the module '{}': built are Transformer, Pooling, Dense, Normalize", type));
  }
}

void read_sentence_config(SentenceModules& modules, const fs::path& folder) {
  const fs::path file = folder / "sentence_bert_config.json";
  if (!fs::is_regular_file(file)) return;
  const Json json = parse_object(read_small(file), file.string());
  const Fields fields(json, file.string());
  modules.max_tokens = fields.get<std::int64_t>("max_seq_length");
}

/// `do_lower_case` of sentence_bert_config.json lower-cases besides what the tokenizer does; the tokenizer's decides.
void read_tokenizer_config(SentenceModules& modules, const fs::path& folder) {
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::is_regular_file(file)) return;
  const Json json = parse_object(read_small(file), file.string());
  modules.lower_case = Fields(json, file.string()).get<bool>("do_lower_case");
}

}  // namespace

std::string SentenceModules::describe() const {
  std::string text = pooling == TextPooling::kMean ? "mean" : "class token";
  for (const DenseFiles& one : dense) text += one.tanh ? ", dense tanh" : ", dense";
  return text + (normalize ? ", normalised" : "");
}

SentenceModules read_sentence_modules(const fs::path& folder) {
  SentenceModules modules;
  read_sentence_config(modules, folder);
  read_tokenizer_config(modules, folder);
  if (const fs::path file = folder / "modules.json"; fs::is_regular_file(file)) {
    const Json list = parse_settings(read_small(file));
    if (!list.is_array()) throw DataError(file.string(), "is not a list of modules");
    if (list.empty()) {
      throw DataError(file.string(), "is a list without modules",
                      "Put the file there again as it came with the weights");
    }
    for (const Json& entry : list) read_module(modules, entry, folder, file);
    modules.found = true;
  } else if (const fs::path pooling = folder / "1_Pooling" / "config.json"; fs::is_regular_file(pooling)) {
    modules.pooling = pooling_of(pooling);
    modules.found = true;
  }
  return modules;
}

}  // namespace vicha::towers
