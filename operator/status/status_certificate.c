/* See status_certificate.h. */
#include "operator/status/status_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_MAX = 1 << 20 };

static X509 *read_pem(const unsigned char *text, int size) {
    BIO *source = BIO_new_mem_buf(text, size);
    X509 *certificate = source == NULL ? NULL : PEM_read_bio_X509(source, NULL, NULL, NULL);
    BIO_free(source);
    return certificate;
}

static X509 *read_base64(const char *text) {
    size_t size = strlen(text);
    unsigned char *pem = size == 0 || size > TEXT_MAX ? NULL : malloc(size);
    int n = pem == NULL ? -1 : EVP_DecodeBlock(pem, (const unsigned char *) text, (int) size);
    X509 *certificate = n > 0 ? read_pem(pem, n) : NULL;
    free(pem);
    return certificate;
}

bool status_certificate_expiry(const char *text, int64_t *ret_ms) {
    X509 *certificate = read_base64(text);
    struct tm time;
    bool is_good = certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1;
    X509_free(certificate);
    if (is_good) {
        *ret_ms = (int64_t) timegm(&time) * 1000;
    }
    return is_good;
}
