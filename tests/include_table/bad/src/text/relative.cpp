#include "relative.h"

#include "base/error.h"
