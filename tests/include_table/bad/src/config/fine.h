#include <string>

#include "base/error.h"
#include "config/other.h"
// #include "data/comment.h"
