`timescale 1ns / 1ps
`default_nettype none
// A UART, 8 bits, no parity, one stop bit, DIV clocks a bit. One byte each way is kept: a byte
// that comes before the last one was taken is lost and raises overrun.
module brontes_uart #(
    parameter DIV = 104
) (
    input  wire       clk,
    input  wire       rst,
    output reg        tx,
    input  wire       rx,
    input  wire       send,
    input  wire [7:0] send_data,
    output wire       send_ready,
    input  wire       take,
    output reg        received,
    output reg  [7:0] received_data,
    output reg        overrun
);
  localparam W = $clog2(DIV + 1);

  reg [W-1:0] tx_count;
  reg [3:0]   tx_left;
  reg [8:0]   tx_shift;
  assign send_ready = tx_left == 0;
  always @(posedge clk)
    if (rst) begin
      tx <= 1;
      tx_left <= 0;
      tx_count <= 0;
    end else if (tx_left == 0) begin
      tx <= 1;
      tx_count <= DIV - 1;
      if (send) begin
        tx <= 0;
        tx_shift <= {1'b1, send_data};
        tx_left <= 10;
      end
    end else if (tx_count == 0) begin
      tx <= tx_shift[0];
      tx_shift <= {1'b1, tx_shift[8:1]};
      tx_left <= tx_left - 1;
      tx_count <= DIV - 1;
    end else tx_count <= tx_count - 1;

  reg [2:0]   rx_sync;
  reg [W-1:0] rx_count;
  reg [3:0]   rx_left;
  reg [7:0]   rx_shift;
  always @(posedge clk) begin
    rx_sync <= {rx_sync[1:0], rx};
    if (rst) begin
      rx_sync <= 3'b111;
      rx_left <= 0;
      received <= 0;
      overrun <= 0;
    end else begin
      if (take) received <= 0;
      if (rx_left == 0) begin
        rx_count <= DIV / 2;
        if (!rx_sync[2]) rx_left <= 10;
      end else if (rx_count != 0) rx_count <= rx_count - 1;
      else begin
        rx_count <= DIV - 1;
        rx_left <= rx_left - 1;
        rx_shift <= {rx_sync[2], rx_shift[7:1]};
        if (rx_left == 10 && rx_sync[2]) rx_left <= 0;  // a glitch, no start bit
        if (rx_left == 1 && rx_sync[2]) begin
          received <= 1;
          received_data <= rx_shift;
          overrun <= overrun || (received && !take);
        end
      end
    end
  end
endmodule
