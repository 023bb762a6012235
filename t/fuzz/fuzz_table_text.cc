// The text of tables: records, lists with braces, and the rules of pattern tables with their values.
#include "lib/table/pattern_file.h"
#include "lib/table/text_file.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::table;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<RuleText> rules;
    for (const LogicalLine& line : logical_lines(text)) {
        const auto record = parse_record(line.text);
        if (record && (record->key.empty() || record->value.empty()))
            abort();
        (void)parse_rule(line, PatternSyntax::Word);
        auto rule = parse_rule(line, PatternSyntax::Delimited);
        if (!rule)
            continue;
        const auto value = Substitution::parse(rule->value, 3);
        if (value)
            (void)value->apply([](size_t group) -> std::string_view {
                if (group > 3)
                    abort();
                return "x";
            });
        rules.push_back(std::move(*rule));
    }
    const auto ends = block_ends(rules);
    if (ends)
        for (size_t i = 0; i < rules.size(); ++i)
            if (rules[i].kind == RuleText::Kind::If && ((*ends)[i] <= i || (*ends)[i] > rules.size()))
                abort();
    for (const std::string_view item : split_outside_braces(strip_braces(text), ", \t"))
        (void)parse_assignment(strip_braces(item));
    return 0;
}
