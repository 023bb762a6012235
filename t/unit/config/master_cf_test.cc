// master.cf: columns, commands, options, and entries written for Postfix.
#include "lib/config/master_cf.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::config;

namespace {

std::unique_ptr<Config> config_of(const std::string& main_cf)
{
    std::vector<Fault> faults;
    auto config = Config::parse(main_cf, Overrides(), faults);
    REQUIRE(config);
    return std::move(*config);
}

std::vector<Service> services_of(const std::string& text, const std::string& main_cf = "compatibility_level = 3.11\n")
{
    auto config = config_of(main_cf);
    std::vector<Fault> faults;
    auto services = parse_master_cf(text, "master.cf", *config, faults);
    for (const Fault& fault : faults)
        UNSCOPED_INFO(fault.to_text());
    REQUIRE(services);
    return std::move(*services);
}

std::vector<std::string> faults_of(const std::string& text, const std::string& main_cf = "")
{
    auto config = config_of(main_cf);
    std::vector<Fault> faults;
    (void)parse_master_cf(text, "master.cf", *config, faults); // only the faults are of interest
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

} // namespace

TEST_CASE("an entry has seven columns and a command")
{
    auto services = services_of("# comment\nsmtp inet n y n 60 5 smtpd -v\n");
    REQUIRE(services.size() == 1);
    const Service& smtp = services[0];
    CHECK(smtp.name == "smtp");
    CHECK(smtp.type == ServiceType::Inet);
    CHECK(smtp.private_ == false);
    CHECK(smtp.unprivileged == true);
    CHECK(smtp.chroot == false);
    CHECK(smtp.wakeup_seconds == 60);
    CHECK_FALSE(smtp.wakeup_if_used);
    CHECK(smtp.process_limit == 5);
    CHECK(smtp.command == Lines{"smtpd", "-v"});
    CHECK(smtp.program == "smtpd");
    CHECK(smtp.use == ProgramUse::Run);
    CHECK(smtp.line == 2);
}

TEST_CASE("a dash stands for the default")
{
    const Service service = services_of("local unix - - - - - local\n")[0];
    CHECK(!service.private_);
    CHECK(service.is_private());
    CHECK(service.is_unprivileged());
    CHECK_FALSE(service.is_chrooted());
    CHECK(service.wakeup_seconds == 0);
    CHECK(service.process_limit == -1);
}

TEST_CASE("chroot was the default below compatibility level 1")
{
    CHECK(services_of("a unix - - - - - smtp\n", "compatibility_level = 0\n")[0].is_chrooted());
    CHECK_FALSE(services_of("a unix - - n - - smtp\n", "compatibility_level = 0\n")[0].is_chrooted());
    CHECK(services_of("a unix - - y - - smtp\n")[0].is_chrooted());
}

TEST_CASE("a question mark wakes a service up only once it is in use, and zero processes are no limit")
{
    const Service service = services_of("flush unix n - n 1000? 0 other\n")[0];
    CHECK(service.wakeup_seconds == 1000);
    CHECK(service.wakeup_if_used);
    CHECK(service.process_limit == 0);
}

TEST_CASE("entries continue over lines, and options take both forms")
{
    auto services = services_of("587 inet n - n - - smtpd\n"
                                "  -o syslog_name=posthouse/submission\n"
                                "# in between\n"
                                "  -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }\n"
                                "  -osmtpd_timeout=5 -v\n"
                                "pickup unix n - n 60 1 pickup\n");
    REQUIRE(services.size() == 2);
    CHECK(services[0].overrides == options({{"syslog_name", "posthouse/submission"},
                                              {"smtpd_relay_restrictions", "permit_sasl_authenticated, reject"},
                                              {"smtpd_timeout", "5"}}));
    CHECK(services[0].command == Lines{"smtpd", "-v"});
    CHECK(services[1].name == "pickup");
}

TEST_CASE("arguments in braces stay together, and a program's own -o is its own")
{
    const Service service = services_of("x unix - n n - - pipe flags=R user=mail argv=/bin/x {a b} -o c\n")[0];
    CHECK(service.command == Lines{"pipe", "flags=R", "user=mail", "argv=/bin/x", "a b", "-o", "c"});
    CHECK(service.overrides.empty());
}

TEST_CASE("values of options keep their names for the program to expand")
{
    CHECK(services_of("25 inet n - n - - smtpd -o smtpd_banner=$myhostname\n")[0].overrides ==
          options({{"smtpd_banner", "$myhostname"}}));
}

TEST_CASE("an address and a port, also of IPv6, name an inet service, and $name is expanded")
{
    auto services = services_of("127.0.0.1:2525 inet n - n - - smtpd\n[::1]:smtp inet n - n - - smtpd\n$myhostname:26 inet n - n - - smtpd\n");
    REQUIRE(services.size() == 3);
    CHECK(services[0].name == "127.0.0.1:2525");
    CHECK(services[1].name == "[::1]:smtp");
    CHECK(services[2].name == "host.example:26");
}

TEST_CASE("all faults of master.cf are told at once")
{
    CHECK(faults_of("smtp inet n - n - smtpd\n"
                    "a tcp - - - - - smtpd\n"
                    "b unix x - maybe soon many local\n"
                    "25 inet - - n - - smtpd\n"
                    "70000 inet n - n - - smtpd\n"
                    "c unix - - n - - smtp -o\n"
                    "d unix - - n - - smtp -o nonsense\n"
                    "e/f unix - - n - - smtp\n"
                    "g unix - - n - - smtp -o { a = b\n") ==
          Lines{"master.cf, line 1: smtp: expected eight columns (service type private unpriv chroot wakeup maxproc command), not 7",
                "master.cf, line 2: a: type: expected inet, unix, unix-dgram, fifo or pass, not \"tcp\"",
                "master.cf, line 3: b: private: expected y, n or -, not \"x\"",
                "master.cf, line 3: b: chroot: expected y, n or -, not \"maybe\"",
                "master.cf, line 3: b: wakeup: expected seconds, maybe with \"?\", or -, not \"soon\"",
                "master.cf, line 3: b: maxproc: expected a number or -, not \"many\"",
                "master.cf, line 4: 25: private: expected n for type inet, whose port anyone can reach",
                "master.cf, line 5: 70000: expected port or address:port, with a port from 1 to 65535, not \"70000\"",
                "master.cf, line 6: c: expected name=value after -o",
                "master.cf, line 7: d: -o: expected name=value, not \"nonsense\"",
                "master.cf, line 8: e/f: expected a service name without \"/\"",
                "master.cf, line 9: expected \"}\" for each \"{\""});
}

TEST_CASE("values and names in -o options are checked like those in main.cf")
{
    auto faults = faults_of("25 inet n - n - - smtpd -o smtpd_timeout=soon -o smtpd_baner=x -o ours=1\n", "relayhost = $ours\n");
    REQUIRE(faults.size() == 2);
    CHECK(faults[0].starts_with("master.cf, line 1: 25: -o smtpd_timeout: expected a time"));
    CHECK(faults[1].starts_with("warning: master.cf, line 1: 25: -o smtpd_baner: unknown parameter"));
    CHECK(faults[1].find("did you mean smtpd_banner?") != std::string::npos);
}

TEST_CASE("a value that white space cuts off is warned of")
{
    auto faults = faults_of("25 inet n - n - - smtpd -o smtpd_relay_restrictions=permit_mynetworks, reject\n");
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].find("a value with white space is written -o { name = value }") != std::string::npos);
}

TEST_CASE("of two entries for a service the later one holds")
{
    auto services = services_of("a unix - - n - 1 smtp\nb unix - - n - 1 smtp\na unix - - n - 2 smtp\na inet n - n - 3 smtpd\n");
    REQUIRE(services.size() == 3);
    CHECK(services[0].process_limit == 2);
    CHECK(services[2].type == ServiceType::Inet);
}

TEST_CASE("an entry for postscreen is smtpd with screening, and with the options of the smtpd behind it")
{
    auto services = services_of("smtp  inet n - y - 1 postscreen -o postscreen_greet_wait=2s -o smtpd_timeout=3s\n"
                                "smtpd pass - - y - 20 smtpd -o smtpd_timeout=5s -o smtpd_helo_required=yes\n");
    REQUIRE(services.size() == 2);
    CHECK(services[0].program == "smtpd");
    std::string options;
    for (const auto& [name, value] : services[0].overrides.pairs())
        options += name + "=" + value + "\n";
    CHECK(options == "smtpd_timeout=5s\nsmtpd_helo_required=yes\nsmtpd_screening_enable=yes\nsmtpd_upstream_proxy_protocol=\n"
                     "postscreen_greet_wait=2s\nsmtpd_timeout=3s\n");
    // One process would be the limit of the real servers, too.
    CHECK(services[0].process_limit == 20);
    CHECK(services_of("smtp inet n - y - 1 postscreen\n")[0].process_limit == -1);
}

TEST_CASE("a master.cf written for Postfix is understood: its programs are run, replaced or left out")
{
    auto services = services_of("smtp      inet  n - y -    1 postscreen\n"
                                "smtpd     pass  - - y -    - smtpd\n"
                                "dnsblog   unix  - - y -    0 dnsblog\n"
                                "tlsproxy  unix  - - y -    0 tlsproxy\n"
                                "cleanup   unix  n - y -    0 cleanup\n"
                                "tlsmgr    unix  - - y 1000? 1 tlsmgr\n"
                                "rewrite   unix  - - y -    - trivial-rewrite\n"
                                "bounce    unix  - - y -    0 bounce\n"
                                "error     unix  - - y -    - error\n"
                                "lmtp      unix  - - y -    - lmtp\n"
                                "virtual   unix  - n n -    - virtual\n"
                                "postlog   unix-dgram n - n - 1 postlogd\n"
                                "maildrop  unix  - n n -    - pipe flags=DRhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\n");
    std::string summary;
    for (const Service& service : services)
        summary += service.name + "=" + (service.use == ProgramUse::Run ? "run " + service.program : service.use == ProgramUse::Later ? "later" : "not needed") + "\n";
    CHECK(summary ==
          "smtp=run smtpd\nsmtpd=not needed\ndnsblog=not needed\ntlsproxy=not needed\ncleanup=not needed\ntlsmgr=not needed\n"
          "rewrite=not needed\nbounce=not needed\nerror=not needed\nlmtp=run lmtp\nvirtual=run virtual\npostlog=not needed\nmaildrop=later\n");
}
