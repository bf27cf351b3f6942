// json-c as Swift sees it.
#ifndef BURST_CJSONC_SHIM_H
#define BURST_CJSONC_SHIM_H
#include <json-c/json.h>
#endif
