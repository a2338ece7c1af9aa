<?php
class TwinBasket
{
    public static function add($product)
    {
        $lines = Twin::session('basket');
        $lines[$product] = (isset($lines[$product]) ? $lines[$product] : 0) + 1;
        Twin::session('basket', $lines);
    }

    public static function lines()
    {
        $found = array();
        foreach (Twin::session('basket') as $product => $quantity) {
            foreach (TwinCatalog::products('e.ID = ' . (int) $product) as $row) { $found[] = array('product' => $row, 'quantity' => $quantity, 'price' => $row['PRICE'] * $quantity); }
        }
        return $found;
    }

    public static function total() { return array_sum(array_column(self::lines(), 'price')); }
}

class TwinOrder
{
    public static function deliveries() { return Twin::rows("SELECT * FROM b_sale_delivery_srv WHERE ACTIVE = 'Y' ORDER BY ID"); }
    public static function payments() { return Twin::rows("SELECT * FROM b_sale_pay_system_action WHERE ACTIVE = 'Y' ORDER BY SORT"); }
    public static function props() { return Twin::rows('SELECT * FROM b_sale_order_props ORDER BY SORT'); }

    public static function chosen($post)
    {
        foreach (self::deliveries() as $row) { if (!isset($post['DELIVERY_ID']) || $post['DELIVERY_ID'] === $row['ID']) { return $row; } }
        return null;
    }

    public static function errors($post)
    {
        $errors = array();
        foreach (self::props() as $prop) {
            if ($prop['REQUIRED'] === 'Y' && trim(isset($post["ORDER_PROP_$prop[ID]"]) ? $post["ORDER_PROP_$prop[ID]"] : '') === '') { $errors['PROPERTY'][] = "Поле \"$prop[NAME]\" обязательно для заполнения"; }
        }
        if (!in_array(isset($post['PAY_SYSTEM_ID']) ? $post['PAY_SYSTEM_ID'] : '', array_column(self::payments(), 'ID'), true)) { $errors['PAY_SYSTEM'][] = 'Платежная система не выбрана'; }
        if (!TwinBasket::lines()) { $errors['MAIN'][] = 'Ваша корзина пуста'; }
        return $errors;
    }

    public static function save($post)
    {
        $delivery = self::chosen($post);
        $price = TwinBasket::total() + $delivery['PRICE'];
        Twin::rows("INSERT INTO b_sale_order (LID, ACCOUNT_NUMBER, USER_ID, PRICE, PRICE_DELIVERY, CURRENCY, STATUS_ID, DATE_INSERT) VALUES ('s1', '', 1, ?, ?, 'RUB', 'N', NOW())", array($price, $delivery['PRICE']));
        $id = Twin::$db->insert_id;
        Twin::rows('UPDATE b_sale_order SET ACCOUNT_NUMBER = ID WHERE ID = ?', array($id));
        $email = '';
        foreach (self::props() as $prop) {
            $value = trim($post["ORDER_PROP_$prop[ID]"]);
            Twin::rows('INSERT INTO b_sale_order_props_value (ORDER_ID, ORDER_PROPS_ID, NAME, VALUE, CODE) VALUES (?, ?, ?, ?, ?)', array($id, $prop['ID'], $prop['NAME'], $value, $prop['CODE']));
            if ($prop['CODE'] === 'EMAIL') { $email = $value; }
        }
        foreach (TwinBasket::lines() as $line) {
            Twin::rows('INSERT INTO b_sale_basket (ORDER_ID, PRODUCT_ID, QUANTITY, PRICE, NAME) VALUES (?, ?, ?, ?, ?)', array($id, $line['product']['ID'], $line['quantity'], $line['product']['PRICE'], $line['product']['NAME']));
            TwinCatalog::write_off($line['product']['ID'], $line['quantity']);
        }
        Twin::session('basket', array());
        Twin::event('SALE_NEW_ORDER', array('to' => $email, 'subject' => "Новый заказ N$id", 'body' => "Заказ №$id принят. Стоимость заказа: " . Twin::money($price)));
        return $id;
    }
}
