-- A card that finds an owner stays blocked or released as the latest order about it says.
CREATE INDEX block_order_card ON block_order (programme, card, number);
