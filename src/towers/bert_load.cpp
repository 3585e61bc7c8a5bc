#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/load_report.h"
#include "checkpoint/names/tower_names.h"
#include "towers/bert_tower.h"
#include "towers/json_fields.h"
#include "towers/naming.h"

namespace vicha {
namespace {

using towers::Fields;
using towers::Json;

std::int64_t rows(const StateDict& named, const std::string& name, std::string_view where, std::int64_t dimension = 0) {
  const at::Tensor& tensor = named.at(name, where);
  if (tensor.dim() != 2 || tensor.numel() == 0) throw DataError(where, fmt::format("'{}' is not a matrix", name));
  return tensor.size(dimension);
}

/// Heads of published models of that width: MiniLM, BGE and E5 of 384 have 12.
std::int64_t published_bert_heads(std::int64_t width) { return width == 384 ? 12 : width % 64 == 0 ? width / 64 : 0; }

TextOptions bert_options(const StateDict& named, std::string_view where) {
  const std::string bert = "text_encoder.bert.";
  TextOptions o;
  o.fusion_layers = 0;
  o.vocabulary = rows(named, bert + "embeddings.word_embeddings.weight", where);
  o.width = rows(named, bert + "embeddings.word_embeddings.weight", where, 1);
  o.max_positions = rows(named, bert + "embeddings.position_embeddings.weight", where);
  o.text_layers = 0;
  while (named.contains(fmt::format("{}encoder.layer.{}.output.dense.weight", bert, o.text_layers))) ++o.text_layers;
  if (o.text_layers == 0) throw DataError(where, "has no layers ('encoder.layer.0.output.dense.weight')");
  o.inner = rows(named, bert + "encoder.layer.0.intermediate.dense.weight", where);
  o.heads = published_bert_heads(o.width);
  return o;
}

void apply_config(TextOptions& o, std::string_view text, const std::string& where) {
  const Json json = towers::parse_object(text, where);
  const Fields fields(json, where);
  if (fields.get_or<std::string>("model_type", "bert") != "bert") {
    fields.refuse("model_type", "built is 'bert' (BERT, MiniLM, BGE, E5 and other models of its layers)");
  }
  fields.expect("hidden_size", o.width);
  fields.expect("num_hidden_layers", o.text_layers);
  fields.expect("intermediate_size", o.inner);
  fields.expect("vocab_size", o.vocabulary);
  fields.expect("max_position_embeddings", o.max_positions);
  o.heads = fields.get_or<std::int64_t>("num_attention_heads", 12);
  if (fields.get_or<std::string>("hidden_act", "gelu") != "gelu") fields.refuse("hidden_act", "built is gelu");
  if (fields.get_or<std::string>("position_embedding_type", "absolute") != "absolute") {
    fields.refuse("position_embedding_type", "built is absolute");
  }
  if (fields.get_or("layer_norm_eps", kBertEps) != kBertEps) fields.refuse("layer_norm_eps", "built is 1e-12");
}

void check_heads(const TextOptions& o, std::string_view where) {
  if (o.heads > 0 && o.width % o.heads == 0) return;
  throw DataError(where,
                  o.heads > 0 ? fmt::format("{} attention heads do not divide the width of {}", o.heads, o.width)
                              : "the weights do not tell how many attention heads there are",
                  "Put the model's config.json beside the weights");
}

}  // namespace

std::unique_ptr<BertTower> load_bert_tower(const fs::path& path) {
  const std::string where = path.string();
  const Weights weights = open_weights(path, true);
  Naming naming = detect_naming(weights.tensors);
  if (naming == Naming::kUnknown || detect_tower_naming(weights.tensors) != TowerNaming::kBert) {
    towers::refuse_kind(weights.tensors, "a Hugging Face BERT", where);
  }
  StateDict named = to_released_names(weights.tensors, where, nullptr, &naming);
  BertTower::Options options;
  options.bert = bert_options(named, where);
  const fs::path config = towers::file_beside(path, "config.json");
  if (config.empty()) {
    log::warning("{}: no config.json beside the weights, so {} attention heads are taken for granted", where,
                 options.bert.heads);
  } else {
    apply_config(options.bert, towers::read_small(config), config.string());
  }
  check_heads(options.bert, where);

  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  const towers::SentenceModules modules = towers::read_sentence_modules(folder);
  if (!modules.found) {
    log::info("{}: no modules.json beside the weights, so a text's feature is its first token's last state", where);
  }
  options.pooling = modules.pooling;
  options.normalize = modules.normalize;
  options.max_tokens = std::min(modules.max_tokens.value_or(512), options.bert.max_positions);
  if (options.max_tokens < 2)
    throw DataError((folder / "sentence_bert_config.json").string(), "'max_seq_length' is below 2");
  for (std::size_t i = 0; i < modules.dense.size(); ++i) {
    const std::string from = modules.dense[i].folder.string();
    const Weights map = open_weights(modules.dense[i].folder);
    const at::Tensor bias = map.tensors.find("linear.bias");
    options.dense.push_back({rows(map.tensors, "linear.weight", from), modules.dense[i].tanh, bias.defined()});
    named.set(fmt::format("dense.{}.weight", i), map.tensors.at("linear.weight", from));
    if (bias.defined()) named.set(fmt::format("dense.{}.bias", i), bias);
  }

  auto tower = std::make_unique<BertTower>(options);
  const ParameterStore& store = tower->parameters();
  NamedTensors targets;
  for (const ParameterStore::Released& r : store.released()) targets.emplace_back(r.name, store.view(r));
  LoadPolicy policy;
  policy.where = where;
  policy.allow_unexpected = {"text_encoder.cls.**"};  // the head of masked words
  policy.remedy = "The weights are of a kind of BERT that is not built here, or incomplete";
  load_into(targets, named, policy);
  const fs::path vocabulary = folder / "vocab.txt";
  tower->identify(fs::is_regular_file(vocabulary) ? vocabulary : fs::path(), modules.lower_case.value_or(true));
  return tower;
}

}  // namespace vicha
