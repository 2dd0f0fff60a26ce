`timescale 1ns / 1ps
`default_nettype none
// The whole chip: the core, 8 KiB of memory that holds the program from the start, a UART and
// four LEDs.
//
//   0x00000000  memory
//   0x80000000  UART data: a write waits for room and sends; a read takes a byte, or -1
//   0x80000004  LEDs, bits 0 to 2; bit 3 of the board shows the trap
module brontes #(
    parameter FIRMWARE = "firmware/firmware.hex",
    parameter DIV = 104  // 115200 baud at 12 MHz
) (
    input  wire       clk,
    input  wire       rstn,
    input  wire       rx,
    output wire       tx,
    output wire [3:0] led
);
  reg [3:0] rst_sync = 0;
  always @(posedge clk) rst_sync <= {rst_sync[2:0], rstn};
  wire rst = !rst_sync[3];

  wire valid, trap;
  wire [31:0] addr, wdata;
  wire [3:0] wmask;
  reg ready;
  reg [31:0] memory_data;
  reg in_memory;

  reg [31:0] memory[0:2047];
  initial $readmemh(FIRMWARE, memory);

  wire begins = valid && !ready;
  wire at_memory = begins && !addr[31];
  wire at_uart = begins && addr[31] && !addr[2];
  wire at_leds = begins && addr[31] && addr[2];

  always @(posedge clk) begin
    if (at_memory) begin
      if (wmask[0]) memory[addr[12:2]][7:0] <= wdata[7:0];
      if (wmask[1]) memory[addr[12:2]][15:8] <= wdata[15:8];
      if (wmask[2]) memory[addr[12:2]][23:16] <= wdata[23:16];
      if (wmask[3]) memory[addr[12:2]][31:24] <= wdata[31:24];
    end
    memory_data <= memory[addr[12:2]];
  end

  wire send_ready, received, overrun;
  wire [7:0] received_data;
  wire send = at_uart && wmask[0] && send_ready;
  wire take = at_uart && wmask == 0;
  reg [31:0] device_data;
  reg [2:0] leds;
  assign led = {trap, leds};

  always @(posedge clk) begin
    ready <= !rst && (at_memory || at_leds || take || send);
    in_memory <= at_memory;
    device_data <= at_leds ? {29'b0, leds} : received ? {23'b0, overrun, received_data} : 32'hffffffff;
    if (rst) leds <= 0;
    else if (at_leds && wmask[0]) leds <= wdata[2:0];
  end

  brontes_core core (
      .clk(clk), .rst(rst), .valid(valid), .ready(ready), .addr(addr), .wdata(wdata), .wmask(wmask),
      .rdata(in_memory ? memory_data : device_data), .trap(trap)
  );

  brontes_uart #(.DIV(DIV)) uart (
      .clk(clk), .rst(rst), .tx(tx), .rx(rx), .send(send), .send_data(wdata[7:0]), .send_ready(send_ready),
      .take(take), .received(received), .received_data(received_data), .overrun(overrun)
  );
endmodule
