import BurstTestSupport
import CSys
import Testing

/// CRC32C is one value, however it is computed and in whatever pieces: journals of another machine are read, and a
/// file is not read back in the pieces in which it was copied.
@Suite struct SumTests {
    /// By the definition, a bit at a time.
    private func plain(_ bytes: some Sequence<UInt8>, after sum: UInt32 = 0) -> UInt32 {
        var sum = ~sum
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82f6_3b78 : sum >> 1 }
        }
        return ~sum
    }

    private func sum(_ bytes: some Collection<UInt8>, after sum: UInt32 = 0) -> UInt32 {
        Array(bytes).withUnsafeBytes { bb_crc32c(sum, $0.baseAddress, $0.count) }
    }

    @Test func theSumIsThatOfTheDefinition() {
        #expect(sum(Array("123456789".utf8)) == 0xe306_9283)
        let content = StageBench.content(40_000, seed: 3)
        // Up to three runs of 2048 bytes are summed at once.
        for count in [0, 1, 7, 8, 9, 2048, 6143, 6144, 6145, 6152, 12287, 12288, 12289, 40_000] {
            #expect(sum(content[..<count]) == plain(content[..<count]), "\(count) bytes")
            #expect(sum(content[..<count], after: 0xdead_beef) == plain(content[..<count], after: 0xdead_beef))
        }
    }

    @Test func theSumIsTheSameInPieces() {
        let content = StageBench.content(40_000, seed: 4)
        let whole = sum(content)
        for cut in [1, 6144, 6145, 20_001, 39_999] {
            #expect(sum(content[cut...], after: sum(content[..<cut])) == whole, "cut at \(cut)")
        }
    }

    @Test func everyFlippedBitChangesTheSum() {
        var content = StageBench.content(7000, seed: 5)
        let right = sum(content)
        for place in 0..<7000 {
            content[place] ^= 1 << (place % 8)
            #expect(sum(content) != right)
            content[place] ^= 1 << (place % 8)
        }
    }
}
