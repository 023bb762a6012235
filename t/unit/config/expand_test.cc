// $name and its forms in values of main.cf.
#include "lib/config/config.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::config;

namespace {

// The value that `text` has as a user-defined parameter, among a few others.
std::string value_of(const std::string& text)
{
    std::vector<Fault> faults;
    auto config = Config::parse("full = yes\nempty =\nnumber = 10\ninner = $full\nx = " + text + "\n", Overrides(), faults);
    if (config)
        return *(*config)->any("x");
    for (const Fault& fault : faults)
        if (!fault.warning)
            return "fault: " + fault.text;
    return "no fault and no value";
}

std::vector<std::string> fault_texts(const std::string& main_cf)
{
    std::vector<Fault> faults;
    (void)Config::parse(main_cf, Overrides(), faults); // only the faults are of interest
    std::vector<std::string> texts;
    for (const Fault& fault : faults)
        texts.push_back(fault.to_text());
    return texts;
}

} // namespace

TEST_CASE("a name is replaced by its value in each of its three forms")
{
    CHECK(value_of("$full") == "yes");
    CHECK(value_of("${full}") == "yes");
    CHECK(value_of("$(full)") == "yes");
    CHECK(value_of("a${full}b$full.c") == "ayesbyes.c");
    CHECK(value_of("$inner") == "yes");
}

TEST_CASE("two dollar signs are one")
{
    CHECK(value_of("/^a$$/ b") == "/^a$/ b");
    CHECK(value_of("$$full") == "$full");
}

TEST_CASE("a question mark gives its text when the name has a value")
{
    CHECK(value_of("${full?text}") == "text");
    CHECK(value_of("a${empty?text}b") == "ab");
    CHECK(value_of("${full?{text}}") == "text");
    CHECK(value_of("${full?$number}s") == "10s");
    CHECK(value_of("$(full?text)") == "text");
}

TEST_CASE("a colon gives its text when the name has no value")
{
    CHECK(value_of("${empty:text}") == "text");
    CHECK(value_of("a${full:text}b") == "ab");
    CHECK(value_of("${empty:{text}}") == "text");
    CHECK(value_of("${never_defined:text}") == "text");
}

TEST_CASE("a question mark and a colon choose between two texts")
{
    CHECK(value_of("${full?{one}:{two}}") == "one");
    CHECK(value_of("${empty?{one}:{two}}") == "two");
    CHECK(value_of("${empty?{one}:two}") == "two");
    CHECK(value_of("${ full ? {one} : {two} }") == "one");
    CHECK(value_of("${full?{${empty?{a}:{b}}}:{c}}") == "b");
}

TEST_CASE("values are compared as numbers when both are numbers, else as text")
{
    CHECK(value_of("${{$number} == {10} ? {same} : {other}}") == "same");
    CHECK(value_of("${{$number} != {10} ? {other} : {same}}") == "same");
    CHECK(value_of("${{9} < {$number} ? {less} : {more}}") == "less");
    CHECK(value_of("${{a9} < {a10} ? {less} : {more}}") == "more");
    CHECK(value_of("${{10} <= {10} ? {yes}}") == "yes");
    CHECK(value_of("${{11} > {10} ? {yes}}") == "yes");
    CHECK(value_of("${{10} >= {10} ? {yes}}") == "yes");
    CHECK(value_of("a${{1} == {2} ? {yes}}b") == "ab");
    CHECK(value_of("${{$full}=={yes}?{same}:{other}}") == "same");
}

TEST_CASE("compatibility levels are compared number by number")
{
    CHECK(value_of("${{3.6} <level {3.11} ? {older} : {newer}}") == "older");
    CHECK(value_of("${{3} >=level {2.99} ? {newer} : {older}}") == "newer");
    CHECK(value_of("${{x} <level {3} ? {a} : {b}}").find("expected a compatibility level") != std::string::npos);
}

TEST_CASE("what is wrong with an expression is said")
{
    CHECK(value_of("a $ b").find("expected a name after \"$\"") != std::string::npos);
    CHECK(value_of("cost$").find("expected a name after \"$\"") != std::string::npos);
    CHECK(value_of("${full").find("expected \"}\"") != std::string::npos);
    CHECK(value_of("${full!x}").find("expected \"}\", \"?\" or \":\"") != std::string::npos);
    CHECK(value_of("${}").find("expected a name") != std::string::npos);
    CHECK(value_of("${{a} ~ {b} ? {c}}").find("expected one of ==") != std::string::npos);
    CHECK(value_of("${{a} == b ? {c}}").find("expected \"{\"") != std::string::npos);
    CHECK(value_of("${{a} == {b}}").find("expected \"?\"") != std::string::npos);
    CHECK(value_of("${full?{a} b}").find("unexpected \"b\"") != std::string::npos);
}

TEST_CASE("a name that leads back to itself is an error at each name of the circle and nowhere else")
{
    auto texts = fault_texts("a = $b\nb = x$a\nc = $a\nrelayhost = $c\nmyhostname = $myhostname\n");
    REQUIRE(texts.size() == 3);
    CHECK(texts[0] == "main.cf, line 1: a: refers to itself (a -> b -> a)");
    CHECK(texts[1] == "main.cf, line 2: b: refers to itself (b -> a -> b)");
    CHECK(texts[2] == "main.cf, line 5: myhostname: refers to itself (myhostname -> myhostname)");
}

TEST_CASE("values that would grow without end are refused")
{
    std::string main_cf = "a0 = 0123456789\n";
    for (int i = 1; i < 40; ++i)
        main_cf += "a" + std::to_string(i) + " = $a" + std::to_string(i - 1) + "$a" + std::to_string(i - 1) + "\n";
    auto texts = fault_texts(main_cf + "relayhost = $a39\n");
    REQUIRE(!texts.empty());
    CHECK(texts.front().find("too many") != std::string::npos);

    std::string deep(500, '{');
    for (size_t i = 0; i < 500; ++i)
        deep += "}";
    CHECK(value_of("${full?" + deep + "}") != "yes");
    std::string nested;
    for (int i = 0; i < 300; ++i)
        nested += "${full?{";
    nested += "x";
    for (int i = 0; i < 300; ++i)
        nested += "}}";
    CHECK(value_of(nested).find("too deeply nested") != std::string::npos);
}

TEST_CASE("a name without a value is empty, and a warning says who uses it")
{
    auto texts = fault_texts("relayhost = $unheard_of\n");
    REQUIRE(texts.size() == 1);
    CHECK(texts[0] == "main.cf, line 1: relayhost: refers to $unheard_of, which has no value");
    CHECK(fault_texts("relayhost = ${unheard_of?x}\n").empty());
}
