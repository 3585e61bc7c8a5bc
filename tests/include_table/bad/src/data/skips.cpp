#include <image/sideways.h>

#include "base/through_config.h"
