// smtpd_milters and its kin as values.
#include "lib/config/config.h"
#include "lib/milter/settings.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::milter;

namespace {

std::unique_ptr<config::Config> config_of(const std::string& text)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::parse("compatibility_level = 3.11\n" + text, config::Overrides(), faults);
    REQUIRE(config);
    return std::move(*config);
}

Result<FilterList> list_of(const std::string& text)
{
    const auto config = config_of(text);
    const auto settings = Settings::from_config(*config);
    REQUIRE(settings);
    return settings->parse_list(config->list("smtpd_milters"));
}

} // namespace

TEST_CASE("each milter has the common settings, but for its own")
{
    const auto list = list_of("milter_command_timeout = 7s\nmilter_default_action = tempfail\n"
                              "smtpd_milters = inet:127.0.0.1:8891, { unix:run/filter.sock, connect_timeout = 3s,\n"
                              " default_action = accept, { protocol = 2 } } unix:last\n");
    REQUIRE(list);
    REQUIRE(list->size() == 3);
    const FilterSettings& first = (*list)[0];
    CHECK(first.address.to_text() == "inet:127.0.0.1:8891");
    CHECK(first.command_timeout == Duration::seconds(7));
    CHECK(first.default_action == DefaultAction::TempFail);
    CHECK(first.protocol == 6);
    const FilterSettings& second = (*list)[1];
    CHECK(second.address.path == "run/filter.sock");
    CHECK(second.connect_timeout == Duration::seconds(3));
    CHECK(second.default_action == DefaultAction::Accept);
    CHECK(second.protocol == 2);
    CHECK((*list)[2].address.path == "last");
}

TEST_CASE("what is wrong with a milter is said, and where")
{
    for (const char* bad : {"tcp:1", "{ inet:h:1, timeout = 3s }", "{ inet:h:1, connect_timeout = soon }",
                            "{ inet:h:1, protocol = 7 }", "{ inet:h:1, default_action = ignore }", "{ inet:h:1, accept }"}) {
        const auto list = list_of(std::string("smtpd_milters = ") + bad + "\n");
        REQUIRE_FALSE(list);
        CHECK(list.error().kind() == ErrorKind::Config);
        CHECK(list.error().text().find(bad) != std::string::npos);
    }
}

TEST_CASE("macros are known with and without braces, and may have defaults")
{
    const auto config = config_of("milter_connect_macros = j {daemon_name}, _\n"
                                  "milter_macro_defaults = {auth_type}=none, { mail_host = two words }\n");
    const auto settings = Settings::from_config(*config);
    REQUIRE(settings);
    CHECK(settings->macros[static_cast<size_t>(Stage::Connect)] == std::vector<std::string>{"j", "{daemon_name}", "_"});
    REQUIRE(settings->macro_defaults.size() == 2);
    CHECK(settings->macro_defaults[0] == std::pair<std::string, std::string>("auth_type", "none"));
    CHECK(settings->macro_defaults[1] == std::pair<std::string, std::string>("mail_host", "two words"));
    CHECK(bare_name("{auth_type}") == "auth_type");
    CHECK(bare_name("j") == "j");
}
