/* callboardctl keygen: a CURVE key pair for a gateway, a broker or a backend service. */
#include "tools/ctl.h"

#include "base/curve_keys.h"

#include <stdio.h>

int ctl_keygen(const struct ctl_options *options, int argc, char **argv) {
    (void) options;
    if (argc != 2) {
        return ctl_usage_error("keygen", "takes the file to write");
    }
    struct curve_keys keys;
    char error[512];
    curve_keys_generate(&keys);
    bool written = curve_keys_write(argv[1], &keys, error, sizeof error);
    if (!written) {
        fprintf(stderr, "callboardctl keygen: %s\n", error);
    } else {
        printf("%s\n%s.pub\n", argv[1], argv[1]);
    }
    curve_keys_wipe(&keys);
    return written ? CTL_DONE : CTL_REFUSED;
}
