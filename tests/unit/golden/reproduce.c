/* Reproduce the golden vectors as a board would: fill the packed structures, print their bytes.
 *
 * Built by test_protocol_c.py. `vectors.h` is written by that test from vectors.json and holds,
 * for every structure, its declared size, for every vector an assignment to each field, and for
 * every frame its header's fields and body. Checksums and framing are written out here, once more
 * and independently of the Python codec.
 */
#include <stdio.h>
#include <string.h>

#include "rramhil_protocol.h"

/* CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected. */
static uint16_t crc16(const uint8_t *data, size_t length)
{
    uint16_t crc = 0xFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc = (uint16_t)(crc ^ data[i] * 256u);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 0x8000u) ? crc * 2u ^ 0x1021u : crc * 2u);
    }
    return crc;
}

/* CRC-32 of zlib: polynomial 0xEDB88320 reflected, start and final XOR 0xFFFFFFFF. */
static uint32_t crc32(const uint8_t *data, size_t length)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1u) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static void print_hex(const char *name, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    printf("%s ", name);
    for (size_t i = 0; i < length; i++)
        printf("%02x", at[i]);
    printf("\n");
}

static uint8_t buffer[4096];

/* `header` has all but length and checksum; the frame is left in `buffer`. Returns its length. */
static size_t encode_frame(rram_header_t header, const uint8_t *body, uint32_t length)
{
    size_t end = sizeof header + length;
    uint32_t checksum;

    header.magic = RRAM_MAGIC;
    header.length = length;
    header.reserved = 0;
    header.crc16 = crc16((const uint8_t *)&header, offsetof(rram_header_t, crc16));
    memcpy(buffer, &header, sizeof header);
    memcpy(buffer + sizeof header, body, length);
    checksum = crc32(buffer, end);
    memcpy(buffer + end, &checksum, sizeof checksum);
    return end + sizeof checksum;
}

#include "vectors.h"

int main(void)
{
    printf("crc16 %04x\n", crc16((const uint8_t *)"123456789", 9));
    printf("crc32 %08x\n", (unsigned)crc32((const uint8_t *)"123456789", 9));
    print_sizes();
    print_structs();
    print_frames();
    return 0;
}
