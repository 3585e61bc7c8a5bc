#include "towers/bert_tower.h"
#include "towers/clip_tower_source.h"
#include "towers/towers_test_support.h"

namespace vicha {
namespace {

using namespace towers_test;
using towers::TextPooling;
using Texts = std::vector<std::vector<std::int64_t>>;

BertTower::Options small_bert() {
  BertTower::Options o;
  o.bert.vocabulary = 60;
  o.bert.max_positions = 20;
  o.bert.width = 32;
  o.bert.heads = 4;
  o.bert.inner = 48;
  o.bert.text_layers = 2;
  o.bert.fusion_layers = 0;
  o.max_tokens = 20;
  return o;
}

Texts some_texts(std::size_t count) {
  Texts texts;
  for (std::size_t i = 0; i < count; ++i) {
    texts.emplace_back();
    for (std::size_t j = 0; j < 1 + (7 * i) % 20; ++j) {
      texts.back().push_back(static_cast<std::int64_t>((13 * i + 5 * j + i * j) % 60));
    }
  }
  return texts;
}

TEST(BertTower, TheFastPathEqualsThePlainOne) {
  for (const TextPooling pooling : {TextPooling::kClass, TextPooling::kMean}) {
    for (const bool more : {false, true}) {
      BertTower::Options options = small_bert();
      options.pooling = pooling;
      if (more) options.dense = {{24, true, true}, {16, false, false}}, options.normalize = true;
      const BertTower tower(options, 5);
      liven(tower.parameters());
      EXPECT_EQ(tower.width(), more ? 16 : 32);
      for (const std::size_t count : {1UL, 5UL, 400UL}) {
        const Texts texts = some_texts(count);
        EXPECT_LT(furthest(tower.encode(texts), tower.plain(texts)), 1e-5) << count;
      }
      EXPECT_EQ(tower.encode({}).size(0), 0);
    }
  }
}

TEST(BertTower, TokensItCannotReadAreNamed) {
  const BertTower tower(small_bert(), 5);
  EXPECT_TRUE(contains(message([&] { tower.encode({{1}, {}}); }), "text 2: has 0 tokens"));
  EXPECT_TRUE(contains(message([&] { tower.encode({{1, 60}}); }), "token id 60"));
  EXPECT_TRUE(contains(message([&] { tower.encode({std::vector<std::int64_t>(21, 1)}); }), "reads 1 to 20"));
}

/// A folder as sentence-transformers writes it.
class SentenceFolder {
 public:
  explicit SentenceFolder(const BertTower& tower) {
    StateDict bert;
    const ParameterStore& store = tower.parameters();
    for (const ParameterStore::Released& r : store.released()) {
      bert.set(replaced(r.name, "text_encoder.bert.", ""), store.view(r).clone());
    }
    bert.set("pooler.dense.weight", at::zeros({32, 32}));
    bert.set("embeddings.position_ids", at::arange(20).unsqueeze(0));
    write_safetensors(folder_ / "model.safetensors", bert);
    write("config.json", kConfig);
  }
  static constexpr const char* kConfig = R"({"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4,
    "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 60, "max_position_embeddings": 20})";

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomic(folder_ / name, text);
  }
  const fs::path& path() const { return folder_.path(); }
  std::unique_ptr<BertTower> load() const { return load_bert_tower(path()); }

 private:
  Folder folder_;
};

constexpr const char* kModules = R"([
  {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
  {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
  {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}])";

TEST(BertTower, SentenceTransformersFilesAreFollowed) {
  BertTower::Options options = small_bert();
  const BertTower source(options, 5);
  liven(source.parameters());
  const SentenceFolder folder(source);
  Log log;
  const auto plain = folder.load();
  EXPECT_TRUE(contains(log.text, "no modules.json"));
  const Texts texts = some_texts(6);
  EXPECT_LT(furthest(plain->encode(texts), source.encode(texts)), 1e-6);

  folder.write("modules.json", kModules);
  folder.write("1_Pooling/config.json", R"({"word_embedding_dimension": 32, "pooling_mode_cls_token": false,
    "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false})");
  folder.write("2_Dense/config.json", R"({"in_features": 32, "out_features": 8, "bias": true,
    "activation_function": "torch.nn.modules.activation.Tanh"})");
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 12, "do_lower_case": false})");
  StateDict dense;
  dense.set("linear.weight", at::randn({8, 32}));
  dense.set("linear.bias", at::randn({8}));
  write_safetensors(folder.path() / "2_Dense" / "model.safetensors", dense);
  const auto tower = folder.load();
  EXPECT_EQ(tower->width(), 8);
  EXPECT_EQ(tower->input().max_tokens, 12);
  EXPECT_EQ(tower->options().pooling, TextPooling::kMean);
  const at::Tensor rows = tower->encode({{1, 2, 3}, {4, 5}});
  EXPECT_LT(furthest(rows.norm(2, 1), at::ones({2})), 1e-6);
  EXPECT_LT(furthest(rows, tower->plain({{1, 2, 3}, {4, 5}})), 1e-5);
  EXPECT_NE(tower->identity().sha256, plain->identity().sha256);
}

TEST(BertTower, WhatIsNotBuiltIsNamed) {
  const BertTower source(small_bert(), 5);
  const SentenceFolder folder(source);
  const auto refused = [&] { return message([&] { folder.load(); }); };
  folder.write("1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  EXPECT_TRUE(contains(refused(), "pools by pooling_mode_max_tokens"));
  folder.write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})");
  EXPECT_TRUE(contains(refused(), "one of the two"));
  folder.write("modules.json", "[]");
  EXPECT_TRUE(contains(refused(), "without modules"));
  folder.write("modules.json", R"([{"type": "sentence_transformers.models.LSTM", "path": ""}])");
  EXPECT_TRUE(contains(refused(), "sentence_transformers.models.LSTM"));
  folder.write("modules.json", R"([{"type": "sentence_transformers.models.Pooling", "path": "../else"}])");
  EXPECT_TRUE(contains(refused(), "not below the model's folder"));
  folder.write("config.json", R"({"model_type": "xlm-roberta"})");
  EXPECT_TRUE(contains(refused(), "'model_type' is \"xlm-roberta\""));
  folder.write("config.json", R"({"model_type": "bert", "num_attention_heads": 4, "hidden_act": "relu"})");
  EXPECT_TRUE(contains(refused(), "'hidden_act' is \"relu\""));
  folder.write("config.json", R"({"model_type": "bert", "hidden_size": 64})");
  EXPECT_TRUE(contains(refused(), "'hidden_size' is 64, but the weights' shapes say 32"));
}

TEST(ClipTextTower, GivesWhatClipGives) {
  const fs::path file = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/clip/clip_tiny.safetensors";
  const LoadedClip clip = load_clip(file);
  const auto tower = load_clip_text_tower(file);
  const std::int64_t end = clip.clip->options().vocabulary - 1;
  const at::Tensor padded = at::tensor(std::vector<std::int64_t>{5, 6, 7, end, 3, 9, end, 0}, at::kLong).view({2, 4});
  EXPECT_LT(furthest(tower->encode({{5, 6, 7, end}, {3, 9, end}}), clip.clip->encode_text(padded)), 1e-6);
  EXPECT_EQ(tower->input().tokenizer, TextInput::Tokenizer::kClipBpe);
  EXPECT_TRUE(contains(message([&] { tower->encode({{end + 1}}); }), "token id"));
}

}  // namespace
}  // namespace vicha
