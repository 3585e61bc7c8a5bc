#include "text/clean.h"
