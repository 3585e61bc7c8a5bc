// BERT's vocab.txt; the tokenizer of a vocabulary that was read takes any text, here the file's own.
#include "fuzz.h"
#include "text/wordpiece/wordpiece.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  const std::string_view text = fuzz::text_of({data, size});
  fuzz::accepted([&] {
    Vocabulary vocabulary(text, "vocab.txt");
    for (std::int64_t id = 0; id < vocabulary.size(); ++id) {
      const auto found = vocabulary.find(vocabulary.token(id));
      fuzz::require(found && *found >= id, "a token has its last id");
    }
    const std::int64_t tokens = vocabulary.size();
    for (const CharacterRules rules : {CharacterRules::kReleased, CharacterRules::kFast}) {
      const WordPiece tokenizer(vocabulary, rules);
      for (const std::int64_t id : tokenizer.encode(text)) fuzz::require(id >= 0 && id < tokens, "ids are tokens");
      fuzz::require(tokenizer.encode(text, 8, Framing::kClsSep).size() <= 8, "a length is kept to");
    }
  });
  return 0;
}
