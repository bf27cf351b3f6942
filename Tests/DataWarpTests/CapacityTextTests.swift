import BurstDataWarp
import BurstModel
import Testing

/// Sizes of directives and of `--capacity`.
@Suite struct CapacityTextTests {
    /// Spec §2.1: what both read, both read alike.
    @Test(arguments: [
        "1", "10", "010", "+5", "1K", "1k", "1KiB", "1kIb", "1KB", "1kb", "1M", "1MB", "1MiB", "1G", "1GB", "1GiB",
        "1T",
        "1TB", "1TiB", "1P", "1PB", "1PiB", "8191PiB", "9223372036854775807", "3500GB", "00000000000000000000000007K",
    ])
    func goodSizesAreSlurms(text: String) throws {
        #expect(try CapacityText.read(text.utf8) == Amount.request(text))
    }

    /// Staging.md §0 fact 8, §5 F6. The correction is a size that both read, and the one that was meant.
    @Test(
        arguments: [
            ("3.5TB", 3, "3500GB"), ("3,5TB", 3, "3500GB"), ("3.5TiB", 3, "3584GiB"), ("3.5T", 3, "3584GiB"),
            ("0.5K", nil, "512"), (".5TB", nil, "500GB"), ("1.25MiB", 1, "1280KiB"), ("1.2345678TB", 1, "1234567800KB"),
            ("2.0GB", 2, "2GB"), ("1.1K", 1, "1127"), ("1.0001K", 1, "1025"), ("0.1", nil, "1"), ("1.5E", 1, "1536PiB"),
            ("1E", 1, "1024PiB"), ("2EB", 2, "2PB"), ("7EiB", 7, "7168PiB"), ("100B", 100, "100"),
            ("12bytes", 12, "12"), ("4GB;", 4, "4GB"), ("1G,access=striped", 1, "1GiB"), ("2gb!", 2, "2GB"),
            ("1.999999999999T", 1, "2199023255551"),
        ] as [(String, UInt64?, String)])
    func surprisesComeWithTheRightSize(text: String, slurm: UInt64?, right: String) throws {
        #expect(Amount.request(text) == slurm)
        let fault = try #require(throws: ErrorLine.self) { try CapacityText.read(text.utf8) }
        let expected = text == "2EB" ? "2000PB" : right
        #expect(fault.text.hasSuffix("write capacity=\(expected)"), "\(fault)")
        #expect(try CapacityText.read(expected.utf8) > 0)
        if let slurm { #expect(fault.text.contains("Slurm reads this as \(slurm) byte")) }
    }

    @Test(
        arguments: [
            ("", "has no value"), ("abc", "is no size"), ("GB", "is no size"), ("0", "above 0"), ("0K", "above 0"),
            ("0.0GB", "above 0"), ("-5GB", "is negative"), ("-1", "is negative"), ("\"2GB\"", "write capacity=2GB"),
            ("3N", "counts nodes"), ("3nodes", "counts nodes"), ("1Q", "Slurm reads this as 1 byte;"),
            ("1KK", "write K M G T or P"), ("1/2GB", "write K M G T or P"), ("1e3", "write K M G T or P"),
            ("0x10", "no size for Slurm"), ("18446744073709551616", "too large"), ("9223372036854775808", "too large"),
            ("8192PiB", "too large"), ("16384P", "too large"), ("16385P", "too large"), ("99999999999.5P", "too large"),
            ("9E", "K M G T or P"), ("123456789012345678901.5", "too large"), ("1.2.3GB", "whole number"),
            ("1.0000000000000001T", "whole number"), ("+", "is no size"), ("1K2", "write K M G T or P"),
        ])
    func badSizesAreRefused(text: String, says: String) throws {
        let fault = try #require(throws: ErrorLine.self) { try CapacityText.read(text.utf8) }
        #expect(fault.text.contains(says), "\(fault)")
        #expect(!fault.text.hasSuffix("..."))
    }

    @Test func capacityArgumentsAreWhatSlurmPrints() throws {
        #expect(try CapacityArgument("wlm_pool:200GiB") == CapacityArgument(pool: "wlm_pool", size: .bytes(200 << 30)))
        #expect(try CapacityArgument("wlm_pool:0").size == .bytes(0))
        #expect(try CapacityArgument("p:12345").size == .bytes(12345))
        #expect(try CapacityArgument("a:b:1TB") == CapacityArgument(pool: "a:b", size: .bytes(1_000_000_000_000)))
        #expect(try CapacityArgument("wlm_pool:8589934592N").size == .nodes(8_589_934_592))
        for text in ["", ":", "p:", ":5", "p", "p:x", "p:1.5TB", "p:-1", "p:N", "p:INFINITE", "p\n:1"] {
            let fault = try #require(throws: ErrorLine.self) { try CapacityArgument(text) }
            #expect(fault.text.hasPrefix("capacity "))
        }
    }
}
