# Files of text become part of the program: for each a function std::string_view vicha::embedded::NAME(), where NAME is the file's
# name as an identifier (words.txt: words_txt). A changed file is embedded anew by the next build.
#   vicha_embed(vicha_text a/words.txt b/codes.tsv)
# The build runs this file as a script, which writes one small source of all files of a target.
if(CMAKE_SCRIPT_MODE_FILE)
  set(code "// Made by cmake/Embed.cmake.\n#include <string_view>\n\nnamespace vicha::embedded {\n")
  foreach(file IN LISTS FILES)
    file(READ ${file} content)
    string(FIND "${content}" ")embedded\"" end)
    if(NOT end EQUAL -1)
      message(FATAL_ERROR "${file} contains )embedded\", which ends a text in the source that embeds it")
    endif()
    get_filename_component(name ${file} NAME)
    string(MAKE_C_IDENTIFIER ${name} name)
    string(APPEND code "\n// ${file}\nstd::string_view ${name}() {\n  return R\"embedded(${content})embedded\";\n}\n")
  endforeach()
  file(WRITE ${SOURCE} "${code}\n}  // namespace vicha::embedded\n")
  return()
endif()

function(vicha_embed target)
  set(source ${CMAKE_BINARY_DIR}/embedded/${target}.cpp)
  set(files)
  foreach(file IN LISTS ARGN)
    file(RELATIVE_PATH file ${CMAKE_SOURCE_DIR} ${file})
    list(APPEND files ${file})
  endforeach()
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${files}" -DSOURCE=${source} -P ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake
    DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMENT "Embedding the texts of ${target}"
    VERBATIM)
  # A unit of its own: a changed word must not compile other sources anew.
  set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${source})
endfunction()
