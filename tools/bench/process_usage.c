/* /proc/PID/task/T/schedstat has nanoseconds, which /proc/PID/stat (clock ticks) has not. */
#include "tools/bench/process_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static bool read_file(const char *path, char *ret_text, size_t size) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t length = fread(ret_text, 1, size - 1, file);
    ret_text[length] = '\0';
    fclose(file);
    return length > 0;
}

bool process_usage_name(int pid, char ret_name[PROCESS_NAME_SIZE]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (!read_file(path, ret_name, PROCESS_NAME_SIZE)) {
        return false;
    }
    ret_name[strcspn(ret_name, "\n")] = '\0';
    return true;
}

bool process_usage_cpu(int pid, uint64_t *ret_ns) {
    char path[320];
    char text[128];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        return false;
    }
    bool any = false;
    *ret_ns = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        unsigned long long ns;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        if (entry->d_name[0] != '.' && read_file(path, text, sizeof text) && sscanf(text, "%llu", &ns) == 1) {
            *ret_ns += ns;
            any = true;
        }
    }
    closedir(tasks);
    return any;
}

bool process_usage_pss(int pid, uint64_t *ret_bytes) {
    char path[64];
    char text[4096];
    unsigned long long kilobytes;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (!read_file(path, text, sizeof text)) {
        return false;
    }
    const char *line = strstr(text, "\nPss:");
    if (line == NULL || sscanf(line, "\nPss: %llu kB", &kilobytes) != 1) {
        return false;
    }
    *ret_bytes = kilobytes * 1024;
    return true;
}
