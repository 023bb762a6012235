// main.cf: lines, values and their checks, overrides.
#include "lib/config/config.h"
#include "lib/config/params.h"
#include "lib/config/value.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <fstream>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::config;

namespace {

std::unique_ptr<Config> good(const std::string& main_cf, const Overrides& overrides = Overrides())
{
    std::vector<Fault> faults;
    auto config = Config::parse(main_cf, overrides, faults);
    for (const Fault& fault : faults)
        UNSCOPED_INFO(fault.to_text());
    REQUIRE(config);
    return std::move(*config);
}

std::vector<std::string> faults_of(const std::string& main_cf)
{
    std::vector<Fault> faults;
    (void)Config::parse(main_cf, Overrides(), faults); // only the faults are of interest
    std::vector<std::string> texts;
    for (const Fault& fault : faults)
        texts.push_back((fault.warning ? "warning: " : "") + fault.to_text());
    return texts;
}

using Lines = std::vector<std::string>;

Overrides options(std::vector<Overrides::Pair> pairs)
{
    return Overrides(std::move(pairs));
}

// A directory with files, gone at the end.
class TempDirectory {
public:
    TempDirectory() { REQUIRE(mkdtemp(path_) != nullptr); }
    ~TempDirectory()
    {
        for (const std::string& name : names_)
            unlink((path_ + ("/" + name)).c_str());
        rmdir(path_);
    }
    std::string write(const std::string& name, const std::string& text)
    {
        names_.push_back(name);
        std::string file = path_ + ("/" + name);
        std::ofstream(file) << text;
        return file;
    }
    std::string path() const { return path_; }

private:
    char path_[32] = "/tmp/config_test.XXXXXX";
    std::vector<std::string> names_;
};

} // namespace

TEST_CASE("a line that begins with white space continues the one before, across comments and empty lines")
{
    auto config = good("mydestination = a.example,\n   b.example\n# a comment\n\n\tc.example\nrelayhost = [d.example]\n");
    CHECK(config->list("mydestination") == Lines{"a.example", "b.example", "c.example"});
    CHECK(config->text("relayhost") == "[d.example]");
}

TEST_CASE("an indented comment is a comment")
{
    CHECK(good("relayhost = a\n   # not part of it\n")->text("relayhost") == "a");
}

TEST_CASE("the first line cannot be a continuation")
{
    CHECK(faults_of("  relayhost = a\n") ==
          Lines{"main.cf, line 1: the first line begins with white space, but there is none to continue"});
}

TEST_CASE("white space around name and value does not count, nor does a carriage return")
{
    CHECK(good("relayhost=a\n")->text("relayhost") == "a");
    CHECK(good("relayhost  =   a  \r\n")->text("relayhost") == "a");
    CHECK(good("relayhost = a")->text("relayhost") == "a");
    CHECK(good("virtual_alias_maps = inline:{ a=b }\n")->text("virtual_alias_maps") == "inline:{ a=b }");
}

TEST_CASE("a line without name and equals sign is a fault")
{
    CHECK(faults_of("relayhost\n") == Lines{"main.cf, line 1: relayhost: expected \"=\" after the name"});
    CHECK(faults_of("= a\n") == Lines{"main.cf, line 1: expected \"name = value\", not \"= a\""});
    CHECK(faults_of("relay host = a\n") == Lines{"main.cf, line 1: expected \"name = value\", not \"relay host = a\""});
    CHECK(faults_of(std::string("relayhost = a\0b\n", 16)).front().find("control character") != std::string::npos);
}

TEST_CASE("of two values for a name the later one holds, and a warning names the line")
{
    std::vector<Fault> faults;
    auto config = Config::parse("relayhost = a\nrelayhost = b\n", Overrides(), faults);
    REQUIRE(config);
    CHECK((*config)->text("relayhost") == "b");
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].to_text() == "main.cf, line 2: relayhost: replaces the value of line 1");
}

TEST_CASE("a comment behind a value is warned of, because it is part of the value")
{
    CHECK(faults_of("myorigin = example.com # ours\n") ==
          Lines{"warning: main.cf, line 1: myorigin: \"# ours\" is part of the value: a comment needs a line of its own"});
}

TEST_CASE("all faults are told at once, with line and what was expected")
{
    CHECK(faults_of("smtpd_helo_required = maybe\n"
                    "smtpd_timeout = soon\n"
                    "# comment\n"
                    "hopcount_limit = 0\n"
                    "message_size_limit =\n"
                    "  lots\n"
                    "qmgr_message_active_limit = 12x\n"
                    "smtpd_forbidden_commands = {CONNECT\n"
                    "mynetworks_style = wide\n"
                    "smtp_destination_concurrency_limit = many\n") ==
          Lines{"main.cf, line 1: smtpd_helo_required: expected yes or no, not \"maybe\"",
                "main.cf, line 2: smtpd_timeout: expected a time such as 30s, 5m, 2h, 1d or 1w of at least 1s, not \"soon\"",
                "main.cf, line 4: hopcount_limit: expected a whole number of at least 1, not \"0\"",
                "main.cf, line 5: message_size_limit: expected a size in bytes of at least 0, not \"lots\"",
                "main.cf, line 7: qmgr_message_active_limit: expected a whole number of at least 1, not \"12x\"",
                "main.cf, line 8: smtpd_forbidden_commands: expected as many \"{\" as \"}\", in pairs, not \"{CONNECT\"",
                "main.cf, line 9: mynetworks_style: expected host, subnet or class, not \"wide\"",
                "main.cf, line 10: smtp_destination_concurrency_limit: expected a whole number of at least 0, not \"many\""});
}

TEST_CASE("integers are checked for their range, however long they are")
{
    CHECK(faults_of("hopcount_limit = 99999999999999999999\n").size() == 1);
    CHECK(faults_of("smtpd_client_ipv4_prefix_length = 33\n") ==
          Lines{"main.cf, line 1: smtpd_client_ipv4_prefix_length: expected a whole number from 0 to 32, not \"33\""});
    CHECK(faults_of("message_size_limit = 9999999999999G\n").size() == 1);
    CHECK(faults_of("maximal_queue_lifetime = 9999999999w\n").size() == 1);
}

TEST_CASE("a mistyped name is warned of, with the nearest known one")
{
    CHECK(faults_of("smtpd_baner = hello\n") ==
          Lines{"warning: main.cf, line 1: smtpd_baner: unknown parameter, and nothing refers to it (did you mean smtpd_banner?)"});
    CHECK(faults_of("mydestinaiton = a\n").front().find("did you mean mydestination?") != std::string::npos);
    CHECK(faults_of("nothing_like_any_of_them = a\n") ==
          Lines{"warning: main.cf, line 1: nothing_like_any_of_them: unknown parameter, and nothing refers to it"});
}

TEST_CASE("a name of the administrator's own is no mistake when something refers to it")
{
    CHECK(faults_of("our_hosts = 10.0.0.0/8\nmynetworks = 127.0.0.0/8 $our_hosts\n").empty());
    CHECK(faults_of("greet = hello\nsmtpd_banner = $myhostname ${greet?$greet} ESMTP\n").empty());
    CHECK(faults_of("smtpd_restriction_classes = friends\nfriends = permit\n").empty());
    CHECK(faults_of("virtual_mailbox_maps = proxy:ldap:accounts\naccounts_server_host = x\n").empty());
    CHECK(good("our_hosts = 10.0.0.0/8\nmynetworks = $our_hosts\n")->any("our_hosts") == "10.0.0.0/8");
    CHECK_FALSE(good("")->any("our_hosts"));
}

TEST_CASE("times have units, and the default's unit when they have none")
{
    auto config = good("smtpd_timeout = 90\nmaximal_queue_lifetime = 2\nminimal_backoff_time = 5m\n"
                       "maximal_backoff_time = 2h\nqueue_run_delay = 1d\nbounce_queue_lifetime = 1w\ndelay_warning_time = 4\n");
    CHECK(config->duration("smtpd_timeout") == Duration::seconds(90));
    CHECK(config->duration("maximal_queue_lifetime") == Duration::seconds(2 * 86400));
    CHECK(config->duration("minimal_backoff_time") == Duration::seconds(300));
    CHECK(config->duration("maximal_backoff_time") == Duration::seconds(7200));
    CHECK(config->duration("queue_run_delay") == Duration::seconds(86400));
    CHECK(config->duration("bounce_queue_lifetime") == Duration::seconds(7 * 86400));
    CHECK(config->duration("delay_warning_time") == Duration::seconds(4 * 3600));
}

TEST_CASE("sizes are bytes, or K, M and G of them")
{
    auto config = good("message_size_limit = 20M\nmailbox_size_limit = 0\nheader_size_limit = 64k\nvirtual_mailbox_limit = 2G\n");
    CHECK(config->number("message_size_limit") == 20971520);
    CHECK(config->number("mailbox_size_limit") == 0);
    CHECK(config->number("header_size_limit") == 65536);
    CHECK(config->number("virtual_mailbox_limit") == int64_t{2} << 30);
}

TEST_CASE("a list is split at commas and white space, and braces stay together")
{
    CHECK(split_list(" a, b\tc,,d ") == Lines{"a", "b", "c", "d"});
    CHECK(split_list("check_x { a b, c } d inline:{a=b, {c = d e}}") == Lines{"check_x", "{ a b, c }", "d", "inline:{a=b, {c = d e}}"});
    CHECK(split_list("!a, static:all") == Lines{"!a", "static:all"});
    CHECK(split_list("").empty());
    CHECK(split_list("a } b") == Lines{"a", "}", "b"});
}

TEST_CASE("stress shortens what depends on it")
{
    CHECK(good("")->duration("smtpd_timeout") == Duration::seconds(300));
    CHECK(good("", options({{"stress", "yes"}}))->duration("smtpd_timeout") == Duration::seconds(10));
    CHECK(good("", options({{"stress", "yes"}}))->number("smtpd_hard_error_limit") == 1);
}

TEST_CASE("-o goes before main.cf, and the last -o before the others")
{
    Overrides overrides = options({{"relayhost", "b"}, {"relayhost", "$where"}, {"where", "c"}});
    auto config = good("relayhost = a\n", overrides);
    CHECK(config->text("relayhost") == "c");
    CHECK(config->is_set("relayhost"));
    CHECK_FALSE(config->is_set("transport_maps"));
}

TEST_CASE("-o takes name=value and { name = value }")
{
    Overrides overrides;
    CHECK(overrides.add_option("a=b"));
    CHECK(overrides.add_option("{ c = d e, f }"));
    CHECK(overrides.add_option("{ g = { h } }"));
    CHECK(overrides.add_option("i="));
    CHECK_FALSE(overrides.add_option("j"));
    CHECK_FALSE(overrides.add_option("{ k = l"));
    CHECK(overrides == options({{"a", "b"}, {"c", "d e, f"}, {"g", "{ h }"}, {"i", ""}}));
}

TEST_CASE("a fault in an -o value says so")
{
    std::vector<Fault> faults;
    CHECK_FALSE(Config::parse("", options({{"smtpd_timeout", "x"}}), faults));
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].to_text().starts_with("-o: smtpd_timeout: expected a time"));
}

TEST_CASE("a transport has its own limits, or those of all transports")
{
    auto config = good("default_destination_concurrency_limit = 30\n"
                       "polite_destination_concurrency_limit = 1\n"
                       "polite_destination_rate_delay = 2\n"
                       "slow_destination_concurrency_limit = $polite_destination_concurrency_limit\n");
    CHECK(config->transport_number("smtp", "_destination_concurrency_limit") == 30);
    CHECK(config->transport_number("polite", "_destination_concurrency_limit") == 1);
    CHECK(config->transport_number("slow", "_destination_concurrency_limit") == 1);
    CHECK(config->transport_duration("polite", "_destination_rate_delay") == Duration::seconds(2));
    CHECK(config->transport_duration("smtp", "_destination_rate_delay") == Duration());
    CHECK(config->transport_number("local", "_destination_concurrency_limit") == 2);
    CHECK(config->transport_number("local", "_destination_recipient_limit") == 1);
    CHECK(config->transport_number("x", "_initial_destination_concurrency") == 5);
    CHECK(config->transport_text("x", "_destination_concurrency_positive_feedback") == "1");
}

TEST_CASE("the compatibility level chooses the generation of defaults")
{
    CHECK(good("")->boolean("append_dot_mydomain"));
    CHECK(good("")->text("mynetworks_style") == "subnet");
    CHECK_FALSE(good("compatibility_level = 1\n")->boolean("append_dot_mydomain"));
    CHECK(good("compatibility_level = 2\n")->text("mynetworks_style") == "host");
    CHECK(good("compatibility_level = 3.10\n")->text("smtp_tls_security_level").empty());
    CHECK(good("compatibility_level = 3.11\n")->text("smtp_tls_security_level") == "may");
    CHECK(good("")->text("smtpd_relay_restrictions") == "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination");
    CHECK(faults_of("compatibility_level = new\n").size() == 1); // not one for each default that it decides
}

TEST_CASE("names of host and domain follow from each other")
{
    auto config = good("");
    CHECK(config->text("myhostname") == "host.example");
    CHECK(config->text("mydomain") == "example");
    CHECK(config->text("myorigin") == "host.example");
    CHECK(config->list("mydestination") == Lines{"host.example", "localhost.example", "localhost"});
    CHECK(good("myhostname = mail.a.example\n")->text("mydomain") == "a.example");
    CHECK(good("mydomain = b.example\nmyhostname = mail.$mydomain\n")->text("myhostname") == "mail.b.example");
    CHECK(good("myhostname = mail.$mydomain\n")->text("mydomain") == "localdomain");
    CHECK(good("")->text("mynetworks") == "127.0.0.0/8 [::1]/128");
}

TEST_CASE("what belongs to a session or a recipient is not expanded here")
{
    CHECK(good("")->text("forward_path") == "$home/.forward${recipient_delimiter}${extension}, $home/.forward");
    CHECK(good("mailbox_command = /bin/deliver \"$USER\"\n")->text("mailbox_command") == "/bin/deliver \"$USER\"");
}

TEST_CASE("a value of myorigin that names a file is its first line")
{
    TempDirectory directory;
    std::string mailname = directory.write("mailname", "example.org\nmore\n");
    directory.write("main.cf", "myorigin = " + mailname + "\nmasquerade_domains = $myorigin\n");
    std::vector<Fault> faults;
    auto config = Config::load(directory.path(), Overrides(), faults);
    REQUIRE(config);
    CHECK(faults.empty());
    CHECK((*config)->text("myorigin") == "example.org");
    CHECK((*config)->text("masquerade_domains") == "example.org");
    CHECK((*config)->directory() == directory.path());
    CHECK((*config)->text("config_directory") == directory.path());
}

TEST_CASE("a file that myorigin names in vain is a fault")
{
    TempDirectory directory;
    directory.write("main.cf", "myorigin = /nowhere/at/all\n");
    std::vector<Fault> faults;
    CHECK_FALSE(Config::load(directory.path(), Overrides(), faults));
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].line == 1);
    CHECK(faults[0].parameter == "myorigin");
}

TEST_CASE("a missing main.cf is a fault that names the file")
{
    std::vector<Fault> faults;
    CHECK_FALSE(Config::load("/nowhere/at/all", Overrides(), faults));
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].to_text().find("/nowhere/at/all/main.cf") != std::string::npos);
}

TEST_CASE("what only master.cf refers to or sets is no mistake")
{
    TempDirectory directory;
    directory.write("main.cf", "mua_restrictions = reject\nsmtpd_banner = $myhostname $greeting\n");
    directory.write("master.cf", "587 inet n - n - - smtpd -o smtpd_client_restrictions=$mua_restrictions -o greeting=hi\n");
    std::vector<Fault> faults;
    CHECK(Config::load(directory.path(), Overrides(), faults));
    CHECK(faults.empty());
}

TEST_CASE("settings without effect are told apart from those that work")
{
    auto config = good("smtpd_milters = inet:127.0.0.1:1\nbiff = no\nrelayhost = a\nsmtpd_sasl_auth_enable = no\n");
    auto notices = later_features_set(*config);
    REQUIRE(notices.size() == 2);
    CHECK(notices[0].parameter == "biff");
    CHECK(notices[0].line == 2);
    CHECK(notices[1].parameter == "smtpd_milters");
}

TEST_CASE("a transport's own setting is without effect when the one for all transports is")
{
    auto config = good("slow_delivery_slot_cost = 7\nslow_destination_rate_delay = 1s\nqueue_run_delay = 5m\n");
    auto notices = later_features_set(*config);
    REQUIRE(notices.size() == 2);
    CHECK(notices[0].parameter == "queue_run_delay");
    CHECK(notices[1].parameter == "slow_delivery_slot_cost");
}

TEST_CASE("every row of the table is sound: unique name, a default that fits, a meaning that is a sentence")
{
    std::vector<Fault> faults;
    auto config = Config::parse("", Overrides(), faults);
    for (const Fault& fault : faults)
        UNSCOPED_INFO(fault.to_text());
    REQUIRE(config);
    CHECK(faults.empty());
    std::string_view before;
    for (const Parameter& parameter : parameters()) {
        INFO(parameter.name);
        CHECK(parameter.name != before);
        CHECK(parameter.meaning.ends_with('.'));
        CHECK(parameter.used != 0);
        if (parameter.kind == Kind::Time && !parameter.min.empty())
            CHECK(parse_time(parameter.min));
        before = parameter.name;
    }
}

TEST_CASE("every default for all transports is in the table")
{
    for (const TransportSuffix& suffix : transport_suffixes())
        CHECK(find_parameter(suffix.default_name) != nullptr);
}
