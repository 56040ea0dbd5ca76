/* SPDX-License-Identifier: MIT */
/*
 * seam.h - everything seam promises, in reading order.
 *
 * Including this header also redirects errno (seam/errno.h): a task may continue on another thread,
 * and compilers would otherwise keep using the first thread's errno.
 */
#pragma once

#include "seam/attr.h"
#include "seam/blocking.h"
#include "seam/bridge.h"
#include "seam/chan.h"
#include "seam/cross.h"
#include "seam/errno.h"
#include "seam/jobs.h"
#include "seam/net.h"
#include "seam/runtime.h"
#include "seam/scope.h"
#include "seam/stop.h"
#include "seam/sync.h"
#include "seam/task.h"
#include "seam/time.h"
