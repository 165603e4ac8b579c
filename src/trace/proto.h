/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protocol buffers' wire format, as base has it. */
#include "base/proto.h"
