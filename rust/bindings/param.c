// SPDX-License-Identifier: GPL-2.0
/*
 * The module's parameter. Those of Rust's module! cannot be seen in
 * /sys/module/oxtcp/parameters, where programs look for the family's number.
 */
#include <linux/moduleparam.h>

#include "helpers.h"

static unsigned int ox_family = 25;
module_param_named(family, ox_family, uint, 0444);
MODULE_PARM_DESC(family, "Number of the socket family (AF_OXTCP)");

unsigned int ox_param_family(void)
{
	return ox_family;
}
