"""What a reader answers: alarms, trends and the digest."""

from dataclasses import replace

from core.record import AlarmEvent


def test_the_digest_tells_any_difference_but_not_the_grouping(run, new_journal, hasty, alarm, scan):
    records = [alarm(n) for n in range(5)] + [scan(n) for n in range(5)]

    def digest(put, batch_max):
        journal = new_journal()

        async def story(writer):
            writer.put(put)

        reader = run(journal, replace(hasty, batch_max=batch_max), story)
        found = reader.digest()
        reader.close()
        return found

    plain = digest(records, 500)
    assert len(plain) == 64
    assert digest(records, 3) == plain
    other = replace(records[0], value=records[0].value + 1e-9)
    assert digest([other, *records[1:]], 500) != plain
    assert digest([records[1], records[0], *records[2:]], 500) != plain
    assert digest(records[:-1], 500) != plain


def test_alarms_can_be_asked_for_by_station_time_and_state(run, journal, hasty, alarm):
    cleared = AlarmEvent.CLEARED

    async def story(writer):
        writer.put(
            [
                alarm(1, name="cold"),
                alarm(2, name="flood"),
                alarm(3, name="cold", event=cleared),
                alarm(4, name="cold", event=AlarmEvent.ACKNOWLEDGED),
                alarm(5, name="flood", event=AlarmEvent.ACKNOWLEDGED),
                alarm(6, name="cold", station="st-018"),
            ]
        )

    reader = run(journal, hasty, story)
    assert [r.at for r in reader.alarms("st-017")] == [alarm(n).at for n in range(1, 6)]
    assert [r.at for r in reader.alarms(limit=2)] == [alarm(5).at, alarm(6).at]
    between = reader.alarms(since=alarm(2).at, until=alarm(4).at)
    assert [r.at for r in between] == [alarm(2).at, alarm(3).at]
    active = reader.alarms(active_only=True)
    assert [(r.station, r.alarm) for r in active] == [("st-017", "flood"), ("st-018", "cold")]
    assert reader.alarms("st-017", active_only=True)[0].event is AlarmEvent.RAISED
    reader.close()


def test_a_trend_is_read_by_tag_and_time(run, journal, hasty, scan):
    async def story(writer):
        writer.put(scan(n) for n in range(10))

    def at(n):
        return scan(n).image.taken_at.utc

    reader = run(journal, hasty, story)
    trend = reader.samples("st-017", "T2g", at(2), at(5))
    assert [(p.at, p.value) for p in trend] == [(at(2), 52.0), (at(3), 53.0), (at(4), 54.0)]
    assert [p.quality.name for p in reader.samples("st-017", "P2h", at(2), at(4))] == ["BAD"] * 2
    assert len(reader.samples("st-017", "T2g", at(0), at(9), limit=4)) == 4
    assert reader.samples("st-017", "T9", at(0), at(9)) == ()
    assert reader.samples("st-099", "T2g", at(0), at(9)) == ()
    assert [p.value for p in reader.outputs("st-017", "CV1_SV", at(0), at(2))] == [30.0, 31.0]
    reader.close()
