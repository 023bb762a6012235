#include "qmgr/notice_rules.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::DeliveryAction;
using queue::DeliveryStatus;

namespace {

mail::Recipient with_notify(int notify)
{
    mail::Recipient recipient("a@example.com");
    recipient.notify = static_cast<uint8_t>(notify);
    return recipient;
}

Notices two_bounce(bool wanted)
{
    Notices notices;
    notices.double_bounce = wanted;
    notices.double_bounce_sender = "double-bounce@example.org";
    return notices;
}

queue::RecipientOutcome delivered(DeliveryAction action)
{
    queue::RecipientOutcome outcome(1, 0, DeliveryStatus::Delivered, "2.0.0", "ok");
    outcome.action = action;
    return outcome;
}

} // namespace

TEST_CASE("33: without NOTIFY, the sender hears of failure and delay but not of success")
{
    const mail::Recipient recipient = with_notify(mail::NotifyDefault);
    CHECK(sender_wants(NoticeKind::Failure, recipient));
    CHECK(sender_wants(NoticeKind::Delay, recipient));
    CHECK_FALSE(sender_wants(NoticeKind::Success, recipient));
}

TEST_CASE("33: NOTIFY=NEVER silences everything")
{
    const mail::Recipient recipient = with_notify(mail::NotifyNever);
    for (NoticeKind kind : {NoticeKind::Failure, NoticeKind::Delay, NoticeKind::Success})
        CHECK_FALSE(sender_wants(kind, recipient));
}

TEST_CASE("33: NOTIFY=SUCCESS alone asks for nothing else")
{
    const mail::Recipient recipient = with_notify(mail::NotifySuccess);
    CHECK(sender_wants(NoticeKind::Success, recipient));
    CHECK_FALSE(sender_wants(NoticeKind::Failure, recipient));
    CHECK_FALSE(sender_wants(NoticeKind::Delay, recipient));
}

TEST_CASE("33: success is reported unless the next host has taken the wish over")
{
    const mail::Recipient recipient = with_notify(mail::NotifySuccess);
    auto relayed = delivered(DeliveryAction::Relayed);
    CHECK(report_success(recipient, relayed));
    relayed.dsn_passed_on = true;
    CHECK_FALSE(report_success(recipient, relayed));
    CHECK_FALSE(report_success(with_notify(mail::NotifyFailure), delivered(DeliveryAction::Delivered)));
}

TEST_CASE("29: a failed bounce makes no bounce, at most a notice to the postmaster")
{
    CHECK(addressee(NoticeKind::Failure, "", two_bounce(false)) == Addressee::Nobody);
    CHECK(addressee(NoticeKind::Failure, "", two_bounce(true)) == Addressee::Postmaster);
    CHECK(addressee(NoticeKind::Delay, "", two_bounce(true)) == Addressee::Nobody);
    CHECK(addressee(NoticeKind::Success, "", two_bounce(true)) == Addressee::Nobody);
}

TEST_CASE("29: a failed notice about a bounce is dropped")
{
    CHECK(addressee(NoticeKind::Failure, "Double-Bounce@example.org", two_bounce(true)) == Addressee::Nobody);
    CHECK(addressee(NoticeKind::Failure, "someone@example.org", two_bounce(true)) == Addressee::Sender);
}

TEST_CASE("soft_bounce makes a permanent failure temporary, and keeps success")
{
    queue::RecipientOutcome failed(1, 0, DeliveryStatus::Failed, "5.1.1", "unknown");
    soften(failed);
    CHECK(failed.status == DeliveryStatus::Deferred);
    CHECK(failed.dsn == "4.1.1");
    auto good = delivered(DeliveryAction::Relayed);
    soften(good);
    CHECK(good.status == DeliveryStatus::Delivered);
    CHECK(good.dsn == "2.0.0");
}

TEST_CASE("the text of an error transport may begin with a status code")
{
    auto outcome = outcome_from_text(3, DeliveryStatus::Failed, "5.1.1 User unknown in virtual alias table");
    CHECK(outcome.index == 3);
    CHECK(outcome.dsn == "5.1.1");
    CHECK(outcome.text == "User unknown in virtual alias table");
    CHECK(outcome_from_text(0, DeliveryStatus::Failed, "mail is disabled").dsn == "5.0.0");
    CHECK(outcome_from_text(0, DeliveryStatus::Deferred, "5.2.1 later").dsn == "4.2.1");
    CHECK(outcome_from_text(0, DeliveryStatus::Delivered, "silently discarded").dsn == "2.0.0");
    CHECK(outcome_from_text(0, DeliveryStatus::Failed, "5.1.1.1 odd").text == "5.1.1.1 odd");
    CHECK(outcome_from_text(0, DeliveryStatus::Failed, "").dsn == "5.0.0");
}
