/* What would load modules of whatever libc an image has, refused: the C library's name service (OpenSSL's address code
 * refers to it; resolver.c finds our addresses) and dlopen (OpenSSL's engines and providers; everything we need of it
 * is in its static library). With these here the linker leaves the real ones out. */
#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict result) {
    (void) name;
    (void) service;
    (void) hints;
    *result = NULL;
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *result) {
    (void) result;
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t size, char *restrict host, socklen_t host_size,
                char *restrict service, socklen_t service_size, int flags) {
    (void) address;
    (void) size;
    (void) host;
    (void) host_size;
    (void) service;
    (void) service_size;
    (void) flags;
    return EAI_FAIL;
}

struct hostent *gethostbyname(const char *name) {
    (void) name;
    return NULL;
}

struct servent *getservbyname(const char *name, const char *protocol) {
    (void) name;
    (void) protocol;
    return NULL;
}

void *dlopen(const char *file, int mode) {
    (void) file;
    (void) mode;
    return NULL;
}

int dlclose(void *handle) {
    (void) handle;
    return 0;
}

void *dlsym(void *restrict handle, const char *restrict name) {
    (void) handle;
    (void) name;
    return NULL;
}

char *dlerror(void) {
    static char text[] = "a static program loads no modules";
    return text;
}

int dladdr(const void *address, Dl_info *info) {
    (void) address;
    (void) info;
    return 0;
}
