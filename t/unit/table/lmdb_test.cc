#include "t/unit/table/fixture.h"

#include "lib/table/lmdb_build.h"
#include "t/support/catch.h"

#include <unistd.h>

using posthouse::table::LmdbBuild;
using posthouse::test::Tables;

namespace {
void build(const std::string& path, const std::vector<std::pair<std::string, std::string>>& records,
           LmdbBuild::Start start = LmdbBuild::Start::Empty)
{
    auto made = LmdbBuild::create(path + ".lmdb", start, 1 << 24, path);
    REQUIRE(made);
    for (const auto& [key, value] : records)
        REQUIRE((*made)->put(key, value, LmdbBuild::Duplicate::Replace));
    REQUIRE((*made)->finish());
}
} // namespace

TEST_CASE("an indexed table finds keys written with and without a final null byte")
{
    Tables tables;
    const std::string path = tables.directory + "/t";
    using namespace std::string_literals;
    build(path, {{"plain", "1"}, {"null\0"s, "2\0"s}});
    for (const char* type : {"lmdb:", "hash:", "btree:"}) {
        auto table = tables.open(type + path);
        CHECK(tables.ask(*table, "plain") == "1");
        CHECK(tables.ask(*table, "NULL") == "2");
        CHECK(tables.ask(*table, "absent") == "(none)");
        CHECK(tables.ask(*table, "") == "(none)");
        CHECK(tables.ask(*table, std::string(600, 'x')) == "(none)");
    }
}

TEST_CASE("a rebuilt table is another file: readers keep the old one and are stale")
{
    Tables tables;
    const std::string path = tables.directory + "/t";
    build(path, {{"a", "1"}});
    auto table = tables.open("lmdb:" + path);
    CHECK_FALSE(table->stale());
    build(path, {{"b", "2"}}, LmdbBuild::Start::Copy);
    CHECK(table->stale());
    CHECK(tables.ask(*table, "b") == "(none)");
    CHECK(tables.ask("lmdb:" + path, "a") == "1");
    CHECK(tables.ask("lmdb:" + path, "b") == "2");
}

TEST_CASE("an unfinished build leaves the table and no temporary file")
{
    Tables tables;
    const std::string path = tables.directory + "/t";
    build(path, {{"a", "1"}});
    {
        auto made = LmdbBuild::create(path + ".lmdb", LmdbBuild::Start::Empty, 1 << 20, path);
        REQUIRE(made);
        REQUIRE((*made)->put("x", "y", LmdbBuild::Duplicate::Keep));
    }
    CHECK(tables.ask("lmdb:" + path, "a") == "1");
    CHECK(std::distance(std::filesystem::directory_iterator(tables.directory), {}) == 1);
}

TEST_CASE("the first of two equal keys can be kept, a key can be removed, a full table says so")
{
    Tables tables;
    const std::string path = tables.directory + "/t";
    auto made = LmdbBuild::create(path + ".lmdb", LmdbBuild::Start::Empty, 1 << 16, path);
    REQUIRE(made);
    CHECK(*(*made)->put("k", "1", LmdbBuild::Duplicate::Keep));
    CHECK_FALSE(*(*made)->put("k", "2", LmdbBuild::Duplicate::Keep));
    CHECK(*(*made)->remove("k"));
    CHECK_FALSE(*(*made)->remove("k"));
    CHECK_FALSE((*made)->put("big", std::string(100000, 'x'), LmdbBuild::Duplicate::Keep));
}

TEST_CASE("a truncated or damaged table is refused and not mapped")
{
    Tables tables;
    const std::string path = tables.directory + "/t";
    std::vector<std::pair<std::string, std::string>> records;
    for (int i = 0; i < 2000; ++i)
        records.emplace_back("key" + std::to_string(i), std::string(100, 'v'));
    build(path, records);
    REQUIRE(::truncate((path + ".lmdb").c_str(), 16384) == 0);
    CHECK(tables.ask("lmdb:" + path, "key1").find("truncated") != std::string::npos);
    tables.write("t.lmdb", std::string(8192, 'x'));
    CHECK(tables.ask("lmdb:" + path, "key1").find("(error)") == 0);
}
