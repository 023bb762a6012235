// CRC-32C by the processor's instruction and by table.
#include "lib/base/crc32c.h"
#include "t/support/catch.h"

#include <string>

using namespace posthouse;

TEST_CASE("CRC-32C has the values of RFC 3720")
{
    CHECK(crc32c("123456789") == 0xe3069283);
    CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
    CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
    CHECK(crc32c("") == 0);
}

TEST_CASE("CRC-32C is the same by instruction, by table, and in pieces")
{
    std::string bytes;
    for (int i = 0; i < 1000; ++i)
        bytes.push_back(static_cast<char>(i * 7));
    for (size_t length = 0; length < bytes.size(); length += 13) {
        const std::string_view part(bytes.data(), length);
        const uint32_t whole = crc32c(part);
        CHECK(whole == crc32c_by_table(0, part));
        CHECK(whole == crc32c(crc32c(part.substr(0, length / 3)), part.substr(length / 3)));
    }
}

TEST_CASE("CRC-32C of long input, which is summed in lanes, is that of the table")
{
    std::string bytes;
    for (size_t i = 0; i < 60000; ++i)
        bytes.push_back(static_cast<char>(i * i / 11 + i));
    for (size_t length : {12287u, 12288u, 12289u, 12300u, 24575u, 24576u, 40001u, 60000u}) {
        const std::string_view part(bytes.data(), length);
        CHECK(crc32c(part) == crc32c_by_table(0, part));
        CHECK(crc32c(part) == crc32c(crc32c(part.substr(0, 13001 % length)), part.substr(13001 % length)));
    }
}
