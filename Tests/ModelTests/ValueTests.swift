import BurstModel
import BurstTestSupport
import Testing

@Suite struct TimeTests {
    @Test func localTimesAreReadPrintedAndTakenApart() throws {
        for text in ["1970-01-01T00:00:00", "2026-11-22T22:10:12", "2000-02-29T23:59:59", "1969-12-31T23:59:58"] {
            let time = try #require(LocalTime(text: text))
            #expect(time.text == text)
        }
        #expect(LocalTime(text: "1970-01-02T00:00:01")?.secondsSinceEpoch == 86_401)
        #expect(LocalTime(text: "2024-02-29T00:00:00")?.secondsSinceEpoch == 1_709_164_800)
        #expect(LocalTime(text: "2026-11-22T22:10:12")?.clock == "22:10:12")
    }

    @Test(arguments: [
        "", "Unknown", "N/A", "2026-11-22 22:10:12", "2026-13-22T22:10:12", "2026-11-32T22:10:12",
        "2026-11-22T24:10:12", "2026-11-22T22:60:12", "2026-11-22T22:10:12Z", "2026-11-2xT22:10:12",
        "2026-02-30T00:00:00", "2025-02-29T00:00:00", "2026-00-10T00:00:00", "2026-04-31T00:00:00",
    ]) func textThatIsNoTimeIsRefused(text: String) {
        #expect(LocalTime(text: text) == nil)
    }

    @Test func momentsAreReadWithOffsetsAndFractions() {
        let noon = Timestamp(rfc3339: "2026-11-22T12:00:00Z")
        #expect(noon == Timestamp(rfc3339: "2026-11-22T13:30:00+01:30"))
        #expect(noon == Timestamp(rfc3339: "2026-11-22T04:00:00-08:00"))
        #expect(Timestamp(rfc3339: "2026-11-22T12:00:00.25Z") == noon?.adding(milliseconds: 250))
        #expect(Timestamp(rfc3339: "2026-11-22T12:00:00.123456Z") == noon?.adding(milliseconds: 123))
        #expect(noon?.rfc3339 == "2026-11-22T12:00:00Z")
        #expect(noon?.adding(milliseconds: 7).rfc3339Milliseconds == "2026-11-22T12:00:00.007Z")
        #expect(Timestamp(milliseconds: -1).rfc3339Milliseconds == "1969-12-31T23:59:59.999Z")
    }

    @Test(arguments: [
        "", "2026-11-22T12:00:00", "2026-11-22T12:00:00.Z", "2026-11-22T12:00:00Zx", "2026-11-22T12:00:00+1",
        "2026-11-22T12:00:00+01:3x", "2026-11-22T12:00:00+-1:30",
    ]) func textThatIsNoMomentIsRefused(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func aZoneTurnsLocalTimesIntoMomentsAndBack() {
        let zone = LocalTime.Zone.fixed(secondsEastOfUTC: 3600)
        let local = LocalTime(text: "2026-11-22T13:00:00")!
        #expect(zone.moment(local) == Timestamp(rfc3339: "2026-11-22T12:00:00Z"))
        #expect(zone.local(zone.moment(local)) == local)
    }

    @Test func agesAreShort() {
        #expect(
            [0, 59, 60, 3599, 3600, 172_799, 172_800, -5].map { Age.short(seconds: $0) } == [
                "0s", "59s", "1m", "59m", "1h", "47h", "2d", "0s",
            ])
        #expect([14, 134, 75_660, 273_600].map { Age.long(seconds: $0) } == ["14s", "2m14s", "21h01m", "3d04h"])
    }
}

@Suite struct BufferStateTests {
    @Test func allSeventeenStatesHaveTheirOwnNameLettersAndRank() {
        #expect(BufferState.named.count == 17)
        #expect(Set(BufferState.named.map(\.letters)).count == 17)
        #expect(Set(BufferState.named.map(\.rank)) == Set(0..<17))
        for state in BufferState.named { #expect(BufferState(state.name) == state) }
    }

    @Test func unknownStatesAreKeptAsPrinted() {
        #expect(BufferState("153") == .other("153") && BufferState("153").name == "153")
        #expect(BufferState("suspend") == .other("suspend"))
        #expect(BufferState("153").stateClass == .broken && BufferState("153").rank == 17)
    }
}

@Suite struct PoolTests {
    @Test func theGuidesSampleShowsMoreFreeThanThereCanBe() {
        let pool = Pool(
            plugin: "datawarp", name: "wlm_pool", granularity: Amount(text: "200GiB"), total: Amount(text: "5800GiB"),
            free: Amount(text: "4600GiB"), used: Amount(text: "1600GiB"))
        #expect(pool.drained == -400 << 30 && pool.drainedAmount == .zero)
        #expect(pool.overcommitted == 0)
        #expect(pool.largestRequest.text == "4200GiB", "what is used does not fit, whatever is called free")
    }

    @Test func drainedSpaceIsNeitherUsedNorFree() {
        let pool = Pool(
            plugin: "lua", name: "a", granularity: Amount(text: "200GiB"), total: Amount(text: "5800GiB"),
            free: Amount(text: "1150GiB"), used: Amount(text: "4TiB"))
        #expect(pool.drainedAmount.text == "554GiB")
        #expect(pool.largestRequest.text == "1000GiB")
        #expect(pool.unfreeShare == 4650.0 / 5800)
    }

    @Test func anUnderflowIsOverCommitment() {
        let pool = Pool(
            plugin: "lua", name: "a", granularity: Amount(text: "1GiB"), total: Amount(text: "10TiB"),
            free: Amount(text: "17179869180GiB"), used: Amount(text: "10244GiB"))
        #expect(pool.overcommitted == 4 << 30 && pool.largestRequest == .zero && pool.drained == 0)
        #expect(pool.unfreeShare.map { $0 > 1 } == true)
    }

    @Test func aPoolOfZeroHasNoShare() {
        let pool = Pool(plugin: "lua", name: "a", granularity: Amount(1), total: .zero, free: .zero, used: .zero)
        #expect(pool.unfreeShare == nil && pool.largestRequest == .zero)
    }

    @Test func requestsAreRoundedUpUnlessTheyOverflow() {
        let pool = Pool(plugin: "lua", name: "a", granularity: Amount(1000), total: .zero, free: .zero, used: .zero)
        #expect([1, 999, 1000, 1001, 1024].map { pool.rounded($0) } == [1000, 1000, 1000, 2000, 2000])
        #expect(pool.rounded(0) == 0 && pool.rounded(.max) == nil)
    }
}

@Suite struct DirectiveTests {
    @Test func eachLineThatNamesACapacityIsARequest() {
        let spec = """
            #DW jobdw type=scratch access_mode=striped capacity=4GB pool=dwcache
            #DW stage_in type=file source=/a capacity destination=$DW_JOB_STRIPED/in
            #DW create_persistent name=alpha capacity=1TiB access=striped type=scratch
            #BB_LUA pool=pool1 capacity=3.5TB other=1
            #BB_LUA pool=pool1
            """
        let requests = BufferRequest.parse(spec)
        #expect(requests.map(\.pool) == ["dwcache", nil, "pool1"])
        #expect(requests.map(\.size) == [4_000_000_000, 1 << 40, 3])
        #expect(requests.map(\.sizeText) == ["4GB", "1TiB", "3.5TB"])
        #expect(requests.map(\.isPersistent) == [false, true, false])
    }

    @Test func aRefusedSizeIsKeptAsText() {
        let requests = BufferRequest.parse("#BB_LUA pool=a capacity=abc\r\n")
        #expect(requests.map(\.pool) == ["a"] && requests.map(\.size) == [nil])
        #expect(requests.map(\.sizeText) == ["abc"])
        #expect(BufferRequest.parse("").isEmpty && BufferRequest.parse("capacity=5").isEmpty)
    }
}

@Suite struct IncidentTests {
    @Test func entriesOfBothPluginsAreRead() {
        let comment = """
            somebody's own comment
            11/22/26 21:54:45 burst_buffer/lua: slurm_bb_data_out: disk: on fire
            11/22/26 22:08:49 burst_buffer/datawarp: teardown: dwrest: instance 7 busy

            11/22/26 22:08:54 burst_buffer/datawarp: dws_data_in: first
            second
            """
        let incidents = Incident.parse(comment)
        #expect(incidents.map(\.plugin) == ["lua", "datawarp", "datawarp"])
        #expect(incidents.map(\.hook) == ["data_out", "teardown", "data_in"])
        #expect(incidents.map(\.message) == ["disk: on fire", "dwrest: instance 7 busy", "first second"])
        #expect(incidents.map(\.time.text) == ["2026-11-22T21:54:45", "2026-11-22T22:08:49", "2026-11-22T22:08:54"])
    }

    @Test func commentsOfOthersAreNoIncidents() {
        #expect(Incident.parse("").isEmpty)
        #expect(Incident.parse("cancelled by root\n11/22/26 burst_buffer/lua: x").isEmpty)
    }
}

@Suite struct ReservationTests {
    private func reserved(_ text: String?, in pool: Pool) -> UInt64 {
        var reservation = Reservation(name: "r")
        reservation.burstBuffer = text
        return reservation.reserved(in: pool)
    }

    @Test func spaceIsSetAsideInTheNamedPoolOrTheDefaultOne() {
        let first = Scene.pool(plugin: "datawarp", "wlm_pool")
        var cache = Scene.pool(plugin: "datawarp", "dwcache")
        cache.isDefault = false
        let text = "datawarp:100GB,datawarp:dwcache:1000"
        #expect(reserved(text, in: first) == 100_000_000_000)
        #expect(reserved(text, in: cache) == 1000)
        #expect(reserved("datawarp:wlm_pool:1TB", in: first) == 1_000_000_000_000)
        #expect(reserved("lua:pool3:2,pool1:3GB,nodes:2N", in: Scene.pool("pool1")) == 3_000_000_000)
        #expect(reserved("lua:pool3:2,pool1:3GB,nodes:2N", in: Scene.pool("pool3")) == 2)
    }

    @Test(arguments: ["datawarp:abc", "datawarp:0", "datawarp:5N", "datawarp:nosuch:1GB", "generic:10", nil])
    func whatNamesNoSpaceOfAPoolSetsNoneAside(text: String?) {
        #expect(reserved(text, in: Scene.pool(plugin: "datawarp", "wlm_pool")) == 0)
    }
}
