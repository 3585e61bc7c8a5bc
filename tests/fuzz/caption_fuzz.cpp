// Captions of any bytes, cleaned as the method, its concepts and CLIP's tokenizer do.
#include "fuzz.h"
#include "text/cleaning/caption.h"
#include "text/cleaning/html_entities.h"
#include "text/cleaning/label.h"
#include "text/cleaning/mojibake.h"
#include "text/clip_bpe/clip_bpe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  const std::string_view text = fuzz::text_of({data, size});
  // No reader takes input of which nothing is known: none of these throws.
  for (const std::string& made :
       {clean_caption(text, 30), clean_question(text, 30), ClipBpe::clean(text), text_detail::fix_encoding(text)}) {
    fuzz::require(cleaning::is_utf8(made), "a cleaned text is UTF-8");
  }
  if (!cleaning::is_utf8(text)) return 0;
  fuzz::require(cleaning::is_utf8(text_detail::unescape_html(text)), "an unescaped text is UTF-8");
  const std::string label = cleaning::clean(text);
  fuzz::require(cleaning::is_utf8(label), "a clean label is UTF-8");
  fuzz::require(cleaning::clean(label) == label, "a clean label stays as it is");
  cleaning::lower(text);
  return 0;
}
