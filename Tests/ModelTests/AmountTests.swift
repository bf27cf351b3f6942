import BurstModel
import BurstTestSupport
import Testing

@Suite struct AmountTests {
    static let requests: [(String, UInt64?)] = [
        ("10", 10), ("1K", 1024), ("1k", 1024), ("1KiB", 1024), ("1kIb", 1024), ("1KB", 1000), ("1kb", 1000),
        ("1M", 1 << 20), ("1MB", 1_000_000), ("1G", 1 << 30), ("1GB", 1_000_000_000), ("1T", 1 << 40),
        ("1TB", 1_000_000_000_000), ("1P", 1 << 50), ("1PB", 1_000_000_000_000_000),
        ("3N", 9_223_372_036_854_775_811), ("3n", 9_223_372_036_854_775_811), ("3Nodes", 9_223_372_036_854_775_811),
        ("18446744073709551615", UInt64.max), ("9223372036854775808", 1 << 63),
        ("1.5K", 1), ("1K2", 1), ("1KK", 1), ("1E", 1), ("1B", 1), ("1K,", 1), ("1K,foo", 1), ("3nodess", 3),
        ("5 K", 5), ("+5", 5), ("010", 10), ("-5", 18_446_744_073_709_551_611), ("  7G", 7 << 30), ("4 GB", 4),
        ("3.5TB", 3), ("1Q", 1), ("4GBB", 4), ("1/2GB", 1), ("1e3", 1), ("-4GB", 18_446_744_069_709_551_616),
        ("0", nil), ("abc", nil), ("", nil), ("+", nil), ("18446744073709551616", nil), ("16384P", nil),
        ("16385P", 1_125_899_906_842_624),
    ]

    @Test(arguments: requests) func aRequestIsReadAsSlurmReadsIt(text: String, value: UInt64?) {
        #expect(Amount.request(text) == value)
    }

    @Test func aHexadecimalRequestIsRefused() {
        // strtoull reads the 0 and stops at the x: zero is no size.
        #expect(Amount.request("0x10") == nil)
    }

    static let printed: [(UInt64, String)] = [
        (0, "0"), (10, "10"), (1024, "1KiB"), (1000, "1KB"), (1 << 20, "1MiB"), (1_000_000, "1MB"), (1 << 30, "1GiB"),
        (1 << 50, "1PiB"), (100_000, "100KB"), (1_024_000, "1000KiB"), (1_048_576_000, "1000MiB"),
        (1_000_256_000, "1000256KB"), (250 << 10, "250KiB"), (5_368_709_120_000, "5000GiB"), (1_024_000_000, "1024MB"),
        (UInt64.max, "INFINITE"), (UInt64.max - 1, "INFINITE"), (1 << 63, "8192PiB"),
        (18_446_744_073_709_551_611, "18446744073709551611"), (18_446_734_078_709_551_617, "18446734078709551617"),
    ]

    @Test(arguments: printed) func anAmountIsPrintedAsSlurmPrintsIt(value: UInt64, text: String) {
        #expect(Amount(value).text == text)
        #expect(Amount(text: text).value == (text == "INFINITE" ? UInt64.max : value))
    }

    @Test func everyRecordedAmountIsReadAndPrintedBack() {
        var amounts = Set<Amount>()
        for section in Fixtures.slurm("show-burst") {
            for plugin in BurstReport.parse(showBurst: section.output).plugins {
                for pool in plugin.pools + plugin.alternatePools {
                    amounts.formUnion([pool.granularity, pool.total, pool.free, pool.used])
                }
                amounts.formUnion(plugin.buffers.map(\.size))
                amounts.formUnion(plugin.users.map(\.used))
            }
        }
        #expect(amounts.count > 150)
        for amount in amounts { #expect(amount.value.map { Amount($0).text } == amount.text) }
    }

    @Test(arguments: ["", "GiB", "1XiB", "1GiBB", "-1", "1.5GiB", "18446744073709551616", "99999999999PiB", "infinite"])
    func textThatIsNoAmountIsKeptWithoutAValue(text: String) {
        #expect(Amount(text: text).value == nil && Amount(text: text).text == text)
        #expect(Amount(text: text).known == nil)
    }

    @Test func figuresNearTheTopAreUnderflowsAndSumsLeaveThemOut() {
        let free = Amount(text: "18446734078709551617")
        #expect(free.isUnderflow && free.shortfall == 9_994_999_999_999 && free.known == nil)
        #expect(Amount(text: "17179869180GiB").shortfall == 4 << 30)
        #expect(Amount(text: "INFINITE").isInfinite && !Amount(text: "INFINITE").isUnderflow)
        #expect(Amount(text: "INFINITE").known == nil)
        #expect(Amount(5).known == 5 && Amount(5).shortfall == 0)
    }

    static let short: [(UInt64, String)] = [
        (0, "0"), (1023, "1023"), (1024, "1.00K"), (200 << 30, "200G"), (1_319_413_953_331, "1.20T"), (10 << 40, "10T"),
        (999 << 30, "999G"), (1000 << 30, "0.98T"), (1536, "1.50K"), (12_884_901_888, "12G"), (13_421_772_800, "12.5G"),
        (1 << 63, "8.00E"),
    ]

    @Test(arguments: short) func theShortFormHasThreeFiguresAndFiveCharacters(value: UInt64, text: String) {
        #expect(Amount.short(value) == text && text.count <= 5)
        #expect(Amount(value).short(bytes: true) == text)
    }

    @Test func amountsOfOtherThingsThanBytesAreNotScaled() {
        #expect(Amount(30001).short(bytes: false) == "30001")
        #expect(Amount(text: "INFINITE").short(bytes: true) == "INF")
        #expect(Amount(text: "17179869180GiB").short(bytes: true) == "-4.00G")
        #expect(Amount(text: "abc").short(bytes: true) == "abc")
    }

    @Test func numbersAreWrittenWithDecimalsAndGroups() {
        #expect(Amount.fixed(1.005, decimals: 2) == "1.00" || Amount.fixed(1.005, decimals: 2) == "1.01")
        #expect(Amount.fixed(-0.25, decimals: 1) == "-0.3" && Amount.fixed(12, decimals: 0) == "12")
        #expect(Amount.fixed(0.05, decimals: 2) == "0.05")
        #expect(Amount.grouped(3_298_534_883_328) == "3,298,534,883,328" && Amount.grouped(999) == "999")
    }
}
